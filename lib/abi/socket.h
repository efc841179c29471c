// Linux i386's numbers and structures of sockets: socket(2), send(2), recv(2), socket(7), unix(7), cmsg(3).
#pragma once

#include <cstdint>

namespace faultline::abi {

// socket(2). SOCK_NONBLOCK and SOCK_CLOEXEC are open(2)'s flags.
inline constexpr uint32_t kFamilyUnspecified = 0, kFamilyUnix = 1, kFamilyInternet = 2, kFamilyInternet6 = 10, kFamilyLimit = 46;
inline constexpr uint32_t kSocketStream = 1, kSocketDatagram = 2, kSocketRaw = 3, kSocketSequentialPacket = 5, kSocketTypeLimit = 11,
                          kSocketTypeMask = 0xf;

inline constexpr uint32_t kAddressLimit = 128;         // struct sockaddr_storage
inline constexpr uint32_t kMaximumConnections = 4096;  // SOMAXCONN

// MSG_* of send and recv.
inline constexpr uint32_t kMessageOutOfBand = 0x1, kMessagePeek = 0x2, kMessageDontRoute = 0x4, kMessageControlTruncated = 0x8,
                          kMessageTruncated = 0x20, kMessageDontWait = 0x40, kMessageEndOfRecord = 0x80, kMessageWaitAll = 0x100,
                          kMessageErrorQueue = 0x2000, kMessageNoSignal = 0x4000, kMessageMore = 0x8000, kMessageWaitForOne = 0x10000,
                          kMessageControlCloseOnExec = 0x40000000;

inline constexpr uint32_t kShutdownRead = 0, kShutdownWrite = 1, kShutdownBoth = 2;

// setsockopt(SOL_SOCKET).
inline constexpr uint32_t kLevelSocket = 1;
inline constexpr uint32_t kOptionDebug = 1, kOptionReuseAddress = 2, kOptionType = 3, kOptionError = 4, kOptionDontRoute = 5,
                          kOptionBroadcast = 6, kOptionSendBuffer = 7, kOptionReceiveBuffer = 8, kOptionKeepAlive = 9,
                          kOptionOutOfBandInline = 10, kOptionPriority = 12, kOptionLinger = 13, kOptionReusePort = 15,
                          kOptionPassCredentials = 16, kOptionPeerCredentials = 17, kOptionReceiveLowWater = 18, kOptionSendLowWater = 19,
                          kOptionReceiveTimeout = 20, kOptionSendTimeout = 21, kOptionAcceptsConnections = 30, kOptionSendBufferForce = 32,
                          kOptionReceiveBufferForce = 33, kOptionProtocol = 38, kOptionDomain = 39, kOptionReceiveTimeout64 = 66,
                          kOptionSendTimeout64 = 67;

struct Linger {
  int32_t on, seconds;
};
struct Timeout32 {
  int32_t seconds, microseconds;
};
struct Timeout64 {
  int64_t seconds, microseconds;
};

// Ancillary data.
inline constexpr uint32_t kControlRights = 1, kControlCredentials = 2;
inline constexpr uint32_t kMaximumRights = 253;  // SCM_MAX_FD

struct ControlHeader {  // cmsghdr; messages are aligned to 4
  uint32_t bytes;       // with this header
  uint32_t level, type;
};
struct PeerCredentials {  // ucred
  uint32_t pid, uid, gid;
};

struct UnixAddress {  // sockaddr_un
  static constexpr uint32_t kHeader = 2, kPathLimit = 108;
  uint16_t family;
  char path[kPathLimit];
};
static_assert(sizeof(UnixAddress) == 110);

struct MessageHeader {  // msghdr
  uint32_t name;
  int32_t name_bytes;
  uint32_t pieces, piece_count;
  uint32_t control, control_bytes;
  uint32_t flags;
};
static_assert(sizeof(MessageHeader) == 28);
struct MultipleMessageHeader {  // mmsghdr
  MessageHeader header;
  uint32_t bytes;
};
static_assert(sizeof(MultipleMessageHeader) == 32);

// socketcall(2)'s first argument.
enum class SocketCall : uint32_t {
  kSocket = 1,
  kBind,
  kConnect,
  kListen,
  kAccept,
  kGetSocketName,
  kGetPeerName,
  kSocketPair,
  kSend,
  kReceive,
  kSendTo,
  kReceiveFrom,
  kShutdown,
  kSetOption,
  kGetOption,
  kSendMessage,
  kReceiveMessage,
  kAccept4,
  kReceiveMultiple,
  kSendMultiple,
};

// ioctl(2) of sockets: SIOCINQ (FIONREAD) and SIOCOUTQ (TIOCOUTQ).
inline constexpr uint32_t kBytesToRead = 0x541b, kBytesUnsent = 0x5411;

}  // namespace faultline::abi
