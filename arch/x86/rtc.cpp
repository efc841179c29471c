// The MC146818 real-time clock behind ports 0x70 and 0x71.
#include "arch/x86/rtc.h"

#include "arch/port_io.h"

namespace faultline {

namespace {

constexpr uint16_t kIndex = 0x70, kData = 0x71;
constexpr uint8_t kSeconds = 0, kMinutes = 2, kHours = 4, kDay = 7, kMonth = 8, kYear = 9, kStatusA = 10, kStatusB = 11;
constexpr uint8_t kUpdating = 0x80, kBinary = 4, kHours24 = 2, kAfternoon = 0x80;

uint8_t read(uint8_t index) {
  port_write8(kIndex, index);
  return port_read8(kData);
}

struct Reading {
  uint8_t seconds, minutes, hours, day, month, year;
  bool operator==(const Reading&) const = default;
};

Reading read_all() {
  for (uint32_t looks = 0; looks < 10000 && (read(kStatusA) & kUpdating); looks++) {
  }
  return {read(kSeconds), read(kMinutes), read(kHours), read(kDay), read(kMonth), read(kYear)};
}

uint32_t decode(uint8_t value, bool binary) { return binary ? value : (value >> 4) * 10u + (value & 15u); }

// Days from 1970-01-01 to a day of the Gregorian calendar; the year is taken to start in March, so that leap days end it.
constexpr uint32_t days_from_civil(uint32_t year, uint32_t month, uint32_t day) {
  if (month <= 2) {
    year--;
    month += 12;
  }
  return 365 * year + year / 4 - year / 100 + year / 400 + (153 * (month - 3) + 2) / 5 + day - 1 - 719468;
}
static_assert(days_from_civil(1970, 1, 1) == 0 && days_from_civil(2024, 1, 1) == 19723 && days_from_civil(2024, 3, 1) == 19783);

}  // namespace

uint64_t rtc_read() {
  // Twice the same: no update fell between.
  Reading reading = read_all();
  for (uint32_t attempt = 0; attempt < 8; attempt++) {
    Reading again = read_all();
    if (again == reading) break;
    reading = again;
  }
  uint8_t status = read(kStatusB);
  bool binary = status & kBinary;
  uint32_t hours = decode(reading.hours & ~kAfternoon, binary);
  if (!(status & kHours24)) hours = hours % 12 + (reading.hours & kAfternoon ? 12 : 0);
  uint32_t days = days_from_civil(2000 + decode(reading.year, binary), decode(reading.month, binary), decode(reading.day, binary));
  return uint64_t{days} * 86400 + hours * 3600 + decode(reading.minutes, binary) * 60 + decode(reading.seconds, binary);
}

}  // namespace faultline
