// Linux i386's terminal settings and ioctl numbers: termios(3), ioctl_tty(2), asm-generic/termbits.h's values.
#pragma once

#include <cstdint>

namespace faultline {

inline constexpr uint32_t kControlCharacters = 19;

// As TCGETS and TCSETS move it.
struct Termios {
  uint32_t input = 0, output = 0, control = 0, local = 0;
  uint8_t line = 0;
  uint8_t characters[kControlCharacters] = {};

  bool has_input(uint32_t flag) const { return input & flag; }
  bool has_output(uint32_t flag) const { return output & flag; }
  bool has_local(uint32_t flag) const { return local & flag; }
};
static_assert(sizeof(Termios) == 36);

// As TCGETA and TCSETA move it (System V's).
struct Termio {
  uint16_t input = 0, output = 0, control = 0, local = 0;
  uint8_t line = 0;
  uint8_t characters[8] = {};
};
static_assert(sizeof(Termio) == 18);

struct WindowSize {
  uint16_t rows = 0, columns = 0, pixel_width = 0, pixel_height = 0;
  bool operator==(const WindowSize&) const = default;
};

// Indices of Termios::characters. A character of 0 is disabled.
enum ControlCharacter : uint8_t {
  kCharInterrupt,
  kCharQuit,
  kCharErase,
  kCharKill,
  kCharEndOfFile,
  kCharTime,
  kCharMinimum,
  kCharSwitch,
  kCharStart,
  kCharStop,
  kCharSuspend,
  kCharEndOfLine,
  kCharReprint,
  kCharDiscard,
  kCharWordErase,
  kCharLiteralNext,
  kCharEndOfLine2,
};

// c_iflag
inline constexpr uint32_t kIgnoreBreak = 0001, kBreakInterrupt = 0002, kIgnoreParity = 0004, kMarkParity = 0010, kCheckParity = 0020,
                          kStrip = 0040, kNewlineToReturn = 0100, kIgnoreReturn = 0200, kReturnToNewline = 0400, kInputLowerCase = 01000,
                          kFlowOutput = 02000, kAnyStarts = 04000, kFlowInput = 010000, kBellWhenFull = 020000, kUtf8 = 040000;
// c_oflag
inline constexpr uint32_t kPostProcess = 0001, kOutputUpperCase = 0002, kNewlineToReturnNewline = 0004, kOutputReturnToNewline = 0010,
                          kNoReturnAtColumn0 = 0020, kNewlineReturns = 0040, kTabDelay = 014000, kExpandTabs = 014000;
// c_cflag
inline constexpr uint32_t kBaudMask = 0010017, kBaud0 = 0, kBaud9600 = 015, kBaud38400 = 017, kBaud115200 = 0010002, kSize8 = 060,
                          kReadEnable = 0200, kHangUpOnClose = 02000, kLocalLine = 04000;
// c_lflag
inline constexpr uint32_t kSignals = 0001, kCanonical = 0002, kEcho = 0010, kEchoErase = 0020, kEchoKill = 0040, kEchoNewline = 0100,
                          kNoFlush = 0200, kStopBackground = 0400, kEchoControl = 01000, kEchoPrint = 02000, kEchoKillErase = 04000,
                          kPending = 040000, kExtended = 0100000;

// What a terminal starts with: a person's, 38400 baud in name (pty) or the port's own; and a byte channel's.
inline constexpr Termios kSaneTermios = {
    .input = kReturnToNewline | kFlowOutput,
    .output = kPostProcess | kNewlineToReturnNewline,
    .control = kBaud38400 | kSize8 | kReadEnable | kHangUpOnClose,
    .local = kSignals | kCanonical | kEcho | kEchoErase | kEchoKill | kEchoControl | kEchoKillErase | kExtended,
    .characters = {3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0},
};
inline constexpr Termios kRawTermios = {
    .control = kBaud115200 | kSize8 | kReadEnable | kLocalLine,
    .characters = {3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0},
};

// ioctl requests
inline constexpr uint32_t kIoctlGetTermios = 0x5401, kIoctlSetTermios = 0x5402, kIoctlSetTermiosWait = 0x5403,
                          kIoctlSetTermiosFlush = 0x5404, kIoctlGetTermio = 0x5405, kIoctlSetTermio = 0x5406, kIoctlSetTermioWait = 0x5407,
                          kIoctlSetTermioFlush = 0x5408, kIoctlSendBreak = 0x5409, kIoctlFlow = 0x540a, kIoctlFlush = 0x540b,
                          kIoctlExclusive = 0x540c, kIoctlNotExclusive = 0x540d, kIoctlSetControlling = 0x540e, kIoctlGetGroup = 0x540f,
                          kIoctlSetGroup = 0x5410, kIoctlOutputPending = 0x5411, kIoctlInsertInput = 0x5412, kIoctlGetWindowSize = 0x5413,
                          kIoctlSetWindowSize = 0x5414, kIoctlGetModem = 0x5415, kIoctlInputPending = 0x541b, kIoctlNonBlocking = 0x5421,
                          kIoctlDropControlling = 0x5422, kIoctlGetDiscipline = 0x5424, kIoctlSetDiscipline = 0x5423,
                          kIoctlSendBreakPosix = 0x5425, kIoctlGetSession = 0x5429, kIoctlGetPtyNumber = 0x80045430,
                          kIoctlLockPty = 0x40045431, kIoctlGetPtyLock = 0x80045439, kIoctlGetExclusive = 0x80045440,
                          kIoctlOpenPtyPeer = 0x5441, kIoctlVirtualHangUp = 0x5437;
// Arguments of kIoctlFlush and kIoctlFlow.
inline constexpr uint32_t kFlushInput = 0, kFlushOutput = 1, kFlushBoth = 2;
inline constexpr uint32_t kFlowStopOutput = 0, kFlowStartOutput = 1, kFlowSendStop = 2, kFlowSendStart = 3;

}  // namespace faultline
