// Which page goes when memory is short (lecture row F4): 2Q (Johnson and Shasha, 1994) over accessed bits, with the adaptation of ARC (Megiddo
// and Modha, 2003). Pure: no locks, no allocation, no hardware. The kernel runs it over frames, tools/replacement over a file of references.
// docs/replacement.md has the reasons and the figures.
//
//   new page -> | young -> old | -> victim        probation: a FIFO in two halves. What a page did in its first half says only that it was
//                          |                      needed once, so its accessed bit is cleared between the halves; a use in the second
//   returning page -> main <- used again          half shows that it is needed again.
//   main: CLOCK. The hand is the head of a list: a used page goes to the tail with its bit cleared, an unused one is the victim.
//   ghosts: who went lately. A page that comes back while it is one joins main, if it went a short while ago or if the page under main's
//       hand is unused and can make room: a loop over more than fits would else push all of itself out of main, round after round.
//   Probation's share follows the ghosts. One that went from main says that main is too small; one that went from probation a short while
//       ago, that a somewhat larger probation would have kept it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>

#include "mm/ghosts.h"

namespace faultline {

inline constexpr uint32_t kNoPage = 0xffffffffu;

// The list that a page is on, kept by Pages.
enum class PageQueue : uint8_t { kNone, kYoung, kOld, kMain };

enum class Policy : uint8_t { kFifo, kClock, kTwoQueues };

// Why a page comes. Of pages that nobody asked for (read-ahead) the ghosts are not asked either: being read is no use.
enum class Arrival : uint8_t { kNew, kReturning, kReadAhead };

// What Pages has to be, for pages that are numbers:
//   uint32_t& next(uint32_t page), previous(uint32_t page); PageQueue queue(uint32_t page); void set_queue(uint32_t page, PageQueue)
//   bool take_accessed(uint32_t page)    whether it was used since this was last asked; may be expensive
template <class Pages>
class Replacement {
 public:
  // A lock is held around each call: choose() looks at no more pages than this.
  static constexpr uint32_t kMaxLooks = 32;

  constexpr explicit Replacement(Pages pages = Pages()) : pages_(pages) {}

  // Before the first page. The ghosts' words are the caller's, about one for each page, and zero.
  void initialize(Policy policy, std::span<uint32_t> ghost_words) {
    *this = Replacement(pages_);
    policy_ = policy;
    if (policy == Policy::kTwoQueues) ghosts_.initialize(ghost_words);
  }

  // What insert() is to be told of the page of this name. To be asked once, when somebody needs the page, and right before it is inserted.
  // `may_look`: take_accessed() may be called.
  Arrival arrival(uint32_t identity, bool may_look = true) {
    const std::optional<Ghost> ghost = ghosts_.recall(identity, count());
    if (!ghost) return Arrival::kNew;
    const uint32_t share = probation_share();
    const bool went_just_now = ghost->age <= share * 3 / 2;
    if (ghost->is_marked)
      probation_share_ = share - std::min(share, kShareStep);
    else if (went_just_now)
      probation_share_ = std::min(share + kShareStep, count());
    return went_just_now || (may_look && main_has_room()) ? Arrival::kReturning : Arrival::kNew;
  }

  void insert(uint32_t page, Arrival arrival) {
    push(policy_ != Policy::kTwoQueues || arrival == Arrival::kReturning ? PageQueue::kMain : PageQueue::kYoung, page);
  }

  // The page is freed, by whomever.
  void remove(uint32_t page) {
    unlink(page);
    pages_.set_queue(page, PageQueue::kNone);
  }

  // The victim goes, from where choose() found it, and leaves a ghost of this name: a hash of where it can be read from.
  void evict(uint32_t page, uint32_t identity) {
    const bool is_of_main = pages_.queue(page) == PageQueue::kMain;
    // Instead of one of probation's: see instead_of().
    if (is_of_main && policy_ == Policy::kTwoQueues && probation_count() > probation_share())
      probation_share_ = std::min(probation_share() + kShareStep, count());
    ghosts_.remember(identity, is_of_main);
    remove(page);
  }

  // The next victim, still queued: it must be evicted, removed or kept. kNoPage with count() != 0: kMaxLooks were not enough, ask again.
  // While nobody uses a page, 2 * count() looks are.
  uint32_t choose() {
    for (uint32_t looks = 1; looks < kMaxLooks && count() != 0; looks++) {
      const PageQueue queue = queue_to_look_at();
      const uint32_t page = list(queue).head;
      if (policy_ == Policy::kFifo) return page;
      // A page that nobody has used by the middle of probation was read ahead in vain.
      if (!pages_.take_accessed(page)) return queue == PageQueue::kMain ? page : instead_of(page);
      move(page, queue == PageQueue::kYoung ? PageQueue::kOld : PageQueue::kMain);
    }
    return kNoPage;
  }

  // The victim cannot go now (locked, dirty, busy). It moves on to the next list, not to the end of its own: pages that can never go must
  // not fill a list that choose() waits for. Of 4 * count() victims in a row that are kept, every page is one.
  void keep(uint32_t page) {
    const PageQueue queue = pages_.queue(page);
    if (queue == PageQueue::kYoung) return move(page, PageQueue::kOld);
    move(page, queue == PageQueue::kMain && policy_ == Policy::kTwoQueues ? PageQueue::kYoung : PageQueue::kMain);
  }

  // A victim that was kept while it was looked into is where choose() found it, and may be evicted.
  void put_back(uint32_t page, PageQueue queue) {
    unlink(page);
    push_front(queue, page);
  }

  // If the page is still unused it is the next to go.
  void hasten(uint32_t page) {
    unlink(page);
    push_front(policy_ == Policy::kTwoQueues ? PageQueue::kOld : PageQueue::kMain, page);
  }

  Policy policy() const { return policy_; }
  uint32_t count() const { return count(PageQueue::kYoung) + count(PageQueue::kOld) + count(PageQueue::kMain); }
  uint32_t count(PageQueue queue) const { return list(queue).count; }
  uint32_t first(PageQueue queue) const { return list(queue).head; }

 private:
  static constexpr uint32_t kLeastPart = 20;  // probation has at least one in so many pages
  static constexpr uint32_t kSlackPart = 16;
  static constexpr uint32_t kShareStep = 1;

  // Doubly linked through Pages; pages leave at the head and join at the tail.
  struct List {
    uint32_t head = kNoPage, tail = kNoPage, count = 0;
  };

  uint32_t probation_share() const { return std::clamp(probation_share_, count() / kLeastPart, count()); }
  uint32_t probation_count() const { return count(PageQueue::kYoung) + count(PageQueue::kOld); }

  // Whether main may have one page more: it is clearly smaller than it should be, or the page under its hand is unused and becomes the next
  // victim. (Clearly: shares move with every page that comes and goes.)
  bool main_has_room() {
    const uint32_t page = list(PageQueue::kMain).head;
    if (page == kNoPage || probation_count() > probation_share() + count() / kSlackPart + 1) return true;
    if (!pages_.take_accessed(page)) {
      hasten(page);
      return true;
    }
    move(page, PageQueue::kMain);
    return false;
  }

  // `page` is to go from probation. Every second time main's hand is asked first, if main is larger than probation is to be: what nobody has
  // used for a whole turn goes instead, and probation may have its place. Else pages that have gone out of use would stay for as long as probation has more than its share.
  uint32_t instead_of(uint32_t page) {
    asks_main_ = !asks_main_;
    if (!asks_main_ || count(PageQueue::kMain) <= probation_share()) return page;
    const uint32_t idle = list(PageQueue::kMain).head;
    if (pages_.take_accessed(idle)) {
      move(idle, PageQueue::kMain);
      return page;
    }
    return idle;
  }

  // Not empty, if any is.
  PageQueue queue_to_look_at() const {
    if (probation_count() <= probation_share() && count(PageQueue::kMain) != 0) return PageQueue::kMain;
    return count(PageQueue::kYoung) > count(PageQueue::kOld) ? PageQueue::kYoung : PageQueue::kOld;
  }

  void move(uint32_t page, PageQueue to) {
    unlink(page);
    push(to, page);
  }

  void push(PageQueue queue, uint32_t page) {
    List& list = this->list(queue);
    pages_.next(page) = kNoPage;
    pages_.previous(page) = list.tail;
    (list.tail == kNoPage ? list.head : pages_.next(list.tail)) = page;
    list.tail = page;
    list.count++;
    pages_.set_queue(page, queue);
  }

  void push_front(PageQueue queue, uint32_t page) {
    List& list = this->list(queue);
    pages_.previous(page) = kNoPage;
    pages_.next(page) = list.head;
    (list.head == kNoPage ? list.tail : pages_.previous(list.head)) = page;
    list.head = page;
    list.count++;
    pages_.set_queue(page, queue);
  }

  void unlink(uint32_t page) {
    List& list = this->list(pages_.queue(page));
    const uint32_t next = pages_.next(page), previous = pages_.previous(page);
    (previous == kNoPage ? list.head : pages_.next(previous)) = next;
    (next == kNoPage ? list.tail : pages_.previous(next)) = previous;
    list.count--;
  }

  List& list(PageQueue queue) { return lists_[static_cast<uint8_t>(queue) - 1]; }
  const List& list(PageQueue queue) const { return lists_[static_cast<uint8_t>(queue) - 1]; }

  [[no_unique_address]] Pages pages_;
  Policy policy_ = Policy::kTwoQueues;
  List lists_[3];
  uint32_t probation_share_ = 0;  // pages; see probation_share() for its bounds
  bool asks_main_ = true;         // see instead_of()
  Ghosts ghosts_;
};

}  // namespace faultline
