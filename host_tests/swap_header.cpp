// The parser of swap headers: what the real mkswap writes is understood, and whatever else a disk may say is refused or harmless.
#include "fs/swap_header.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "host_tests/ext2_support.h"
#include "mm/swap.h"

namespace faultline {
namespace {

using Page = std::array<uint8_t, kPageSize>;
constexpr uint32_t kPages = 100;

std::string parse(const Page& page, uint64_t available, SwapHeader& header) {
  StringView problem = swap_header_parse(page, available, header);
  return {problem.data(), problem.size()};
}
std::string parse(const Page& page, uint64_t available = kPages) {
  auto header = std::make_unique<SwapHeader>();
  return parse(page, available, *header);
}

void put_word(Page& page, uint32_t at, uint32_t word) { memcpy(&page[at], &word, sizeof word); }
Page header_page(std::vector<uint32_t> bad = {}, uint32_t pages = kPages) {
  Page page = {};
  put_word(page, SwapHeader::kVersionAt, 1);
  put_word(page, SwapHeader::kLastPageAt, pages - 1);
  put_word(page, SwapHeader::kBadCountAt, static_cast<uint32_t>(bad.size()));
  for (uint32_t i = 0; i < bad.size(); i++) put_word(page, SwapHeader::kBadPagesAt + i * 4, bad[i]);
  memcpy(&page[SwapHeader::kSignatureAt], "SWAPSPACE2", 10);
  return page;
}
// The same, as a machine with the other order of bytes would have written it.
Page swapped(Page page) {
  const uint32_t end = SwapHeader::kBadPagesAt + SwapHeader::kMaxBadPages * 4;
  auto swap = [&](uint32_t at) { std::swap(page[at], page[at + 3]), std::swap(page[at + 1], page[at + 2]); };
  for (uint32_t at : {SwapHeader::kVersionAt, SwapHeader::kLastPageAt, SwapHeader::kBadCountAt}) swap(at);
  for (uint32_t at = SwapHeader::kBadPagesAt; at < end; at += 4) swap(at);
  return page;
}

// The first page of an area of `kibibytes` that mkswap has prepared.
Page made_by_mkswap(uint32_t kibibytes, const std::string& options) {
  char name[] = "/tmp/faultline-swap-XXXXXX";
  const int file = mkstemp(name);
  EXPECT_GE(file, 0);
  EXPECT_EQ(ftruncate(file, static_cast<off_t>(kibibytes) * 1024), 0);
  CommandResult result = run_command("PATH=$PATH:/sbin:/usr/sbin mkswap " + options + " " + name + " 2>&1");
  EXPECT_EQ(result.status, 0) << result.output;
  Page page = {};
  EXPECT_EQ(pread(file, page.data(), page.size(), 0), ssize_t{kPageSize});
  close(file);
  unlink(name);
  return page;
}

TEST(SwapHeader, UnderstandsWhatMkswapWrites) {
  SwapHeader header;
  for (uint32_t kibibytes : {40u, 64u, 65u, 1024u, 512u * 1024}) {
    EXPECT_EQ(parse(made_by_mkswap(kibibytes, "-L label"), kibibytes / 4, header), "");
    EXPECT_EQ(header.pages, kibibytes / 4);
    EXPECT_EQ(header.bad_count, 0u);
  }
  EXPECT_EQ(parse(swapped(made_by_mkswap(1024, "")), 256, header), "");
  EXPECT_EQ(header.pages, 256u);
  EXPECT_EQ(parse(made_by_mkswap(1024, "--pagesize 8192"), 256, header), "Unable to find swap-space signature");
}

TEST(SwapHeader, RefusesWhatItDoesNotKnowByName) {
  Page page = header_page();
  EXPECT_EQ(parse(page), "");
  memcpy(&page[SwapHeader::kSignatureAt], "SWAP-SPACE", 10);
  EXPECT_EQ(parse(page), "Unable to handle swap header version 0, SWAP-SPACE");
  page[SwapHeader::kSignatureAt] = 0;
  EXPECT_EQ(parse(page), "Unable to find swap-space signature");
  page = header_page();
  put_word(page, SwapHeader::kVersionAt, 2);
  EXPECT_EQ(parse(page), "Unable to handle swap header version");
  EXPECT_EQ(parse(Page{}), "Unable to find swap-space signature");
}

TEST(SwapHeader, HoldsTheSizeAgainstWhatThereIs) {
  EXPECT_EQ(parse(header_page(), kPages - 1), "Swap area shorter than signature indicates");
  EXPECT_EQ(parse(header_page(), kPages + 1), "");
  EXPECT_EQ(parse(header_page({}, 1)), "Empty swap-file");
  EXPECT_EQ(parse(header_page({}, 0)), "Swap area shorter than signature indicates");
  EXPECT_EQ(parse(header_page(), 0), "Swap area shorter than signature indicates");
  SwapHeader header;
  EXPECT_EQ(parse(header_page({5, SwapSlot::kMaxPages + 5}, SwapSlot::kMaxPages + 10), ~0ull, header), "");
  EXPECT_EQ(header.pages, SwapSlot::kMaxPages);
  EXPECT_EQ(header.bad_count, 1u);
}

TEST(SwapHeader, BadPagesComeSortedAndOnce) {
  const std::vector<uint32_t> bad = {99, 7, 50, 7, 1, 99, 99}, sorted = {1, 7, 50, 99};
  for (const Page& page : {header_page(bad), swapped(header_page(bad))}) {
    SwapHeader header;
    ASSERT_EQ(parse(page, kPages, header), "");
    EXPECT_EQ(std::vector<uint32_t>(header.bad_pages().begin(), header.bad_pages().end()), sorted);
  }
  EXPECT_EQ(parse(header_page({0})), "A bad page outside the swap area");
  EXPECT_EQ(parse(header_page({5, kPages})), "A bad page outside the swap area");
  EXPECT_EQ(parse(header_page({~0u})), "A bad page outside the swap area");
  EXPECT_EQ(parse(header_page({1, 2, 3}, 4)), "Empty swap-file");
  EXPECT_EQ(parse(header_page({1, 2, 2}, 4)), "");
}

TEST(SwapHeader, TheListOfBadPagesEndsBeforeTheSignature) {
  std::vector<uint32_t> bad(SwapHeader::kMaxBadPages);
  for (uint32_t i = 0; i < bad.size(); i++) bad[i] = i + 1;
  EXPECT_EQ(parse(header_page(bad, 1000), 1000), "");
  Page page = header_page(bad, 1000);
  for (uint32_t count : {SwapHeader::kMaxBadPages + 1, 1u << 30, 0x80000000u, ~0u}) {
    put_word(page, SwapHeader::kBadCountAt, count);
    EXPECT_EQ(parse(page, 1000), "More bad pages than the header has room for") << count;
  }
}

// Whatever is accepted can be used without a further look.
TEST(SwapHeader, MutationsAreRefusedOrHarmless) {
  const Page originals[] = {made_by_mkswap(400, ""), header_page({3, 2, 98}), swapped(header_page({9, 9, 44}))};
  const uint32_t places[] = {SwapHeader::kVersionAt,  SwapHeader::kLastPageAt,     SwapHeader::kBadCountAt,
                             SwapHeader::kBadPagesAt, SwapHeader::kBadPagesAt + 4, kPageSize - 12};
  std::mt19937 random(1);
  uint32_t accepted = 0, refused = 0;
  for (uint32_t round = 0; round < 200'000; round++) {
    Page page = originals[round % std::size(originals)];
    for (uint32_t change = random() % 4; change-- > 0;) {
      const uint32_t at = places[random() % std::size(places)] + random() % 4;
      page[std::min<uint32_t>(at, kPageSize - 1)] = random() % 3 ? static_cast<uint8_t>(random() % 4) : static_cast<uint8_t>(random());
    }
    auto header = std::make_unique<SwapHeader>();  // of its own, for the sanitizer to guard
    const uint64_t available = random() % 4 ? kPages : random() % (2 * kPages);
    if (!parse(page, available, *header).empty()) {
      refused++;
      continue;
    }
    accepted++;
    ASSERT_GE(header->pages, 2u);
    ASSERT_LE(header->pages, available);
    ASSERT_LT(header->bad_count, header->pages - 1);
    for (uint32_t i = 0; i < header->bad_count; i++) {
      ASSERT_GT(header->bad[i], i == 0 ? 0 : header->bad[i - 1]);
      ASSERT_LT(header->bad[i], header->pages);
    }
  }
  EXPECT_GT(accepted, 1000u);
  EXPECT_GT(refused, 1000u);
}

}  // namespace
}  // namespace faultline
