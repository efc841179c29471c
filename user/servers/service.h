// The service that every server of this folder gives, on one port: lines and HTTP/1.1. Nothing here waits, or knows of sockets.
//
// A line is answered by a line:
//   upper TEXT   the text in capitals         sum N N...   their sum         quit   the end
// A line such as "GET /figures HTTP/1.1" begins a request (RFC 9112), which ends with an empty line. GET and HEAD of
//   /            a page that shows what /figures says, each second
//   /figures     memory and processes of the machine, and what this server did, as JSON
//   /hello       a few words: for measurements
//   /bytes/N     N bytes, the same each time: for downloads with a checksum
#pragma once

#include <cctype>
#include <cstdlib>
#include <string>
#include <string_view>

#include "user/servers/figures.h"
#include "user/servers/page.h"

// The conversation with one client: bytes in, bytes out.
class Service {
 public:
  // Beyond that a line is nonsense, and answers wait until some have been sent: no client makes the server keep much.
  static constexpr size_t kLongestLine = 4096, kMostUnsent = 64 << 10;

  // What came from the client, as it came: parts of lines, or many.
  void take(std::string_view bytes) {
    in_ += bytes;
    work();
  }
  // The client sends no more; it may still want its answers.
  void end() { ends_ = true; }
  // What the client has not got yet; the first `count` bytes of it have been sent.
  std::string_view unsent() const { return std::string_view(out_).substr(sent_); }
  void sent(size_t count) {
    sent_ += count;
    if (sent_ < out_.size()) return;
    out_.clear();
    sent_ = 0;
    work();
  }
  // Whether bytes of the client's can be worked on now, and whether all is said.
  bool wants_bytes() const { return !ends_ && body_left_ == 0 && unsent().size() < kMostUnsent; }
  bool is_over() const { return ends_ && body_left_ == 0 && unsent().empty(); }

 private:
  void work();
  void take_line(std::string_view line);
  void answer_line(std::string_view line);
  void begin_request(std::string_view line);
  void take_header(std::string_view line);
  void answer_request();
  void put_answer(const char* status, const char* type, std::string_view body);
  void put_head(const char* status, const char* type, unsigned long long length);
  void put_body_part();

  std::string in_, out_;
  size_t sent_ = 0;  // of out_
  bool ends_ = false;

  bool in_request_ = false, keeps_alive_ = true;
  std::string method_, path_;
  unsigned long long body_left_ = 0;  // of /bytes/N
  unsigned body_state_ = 0;
};

// All that can be answered now.
inline void Service::work() {
  size_t begin = 0;
  while (unsent().size() < kMostUnsent && !(ends_ && body_left_ == 0)) {
    if (body_left_ > 0) {
      put_body_part();
      continue;
    }
    const size_t end = in_.find('\n', begin);
    if (end == std::string::npos) break;
    std::string_view line = std::string_view(in_).substr(begin, end - begin);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    begin = end + 1;
    take_line(line);
  }
  in_.erase(0, begin);
  if (ends_) in_.clear();
  if (wants_bytes() && in_.size() > kLongestLine) {
    keeps_alive_ = false;
    put_answer("414 URI Too Long", "text/plain", "a line is too long\n");
  }
}

inline void Service::take_line(std::string_view line) {
  if (in_request_)
    line.empty() ? answer_request() : take_header(line);
  else if (line.find(" HTTP/1.") != std::string_view::npos)
    begin_request(line);
  else
    answer_line(line);
}

inline void Service::answer_line(std::string_view line) {
  server_figures.requests++;
  const std::string_view word = line.substr(0, line.find(' '));
  std::string rest(line.substr(word.size()));
  if (word == "quit") {
    out_ += "goodbye\n";
    ends_ = true;
  } else if (word == "upper") {
    for (char& c : rest) c = static_cast<char>(toupper(static_cast<unsigned char>(c)));
    out_ += rest.substr(rest.empty() ? 0 : 1) + '\n';
  } else if (word == "sum") {
    long long sum = 0;
    const char* at = rest.c_str();
    for (char* next; sum += strtoll(at, &next, 10), next != at;) at = next;
    out_ += std::to_string(sum) + '\n';
  } else {
    out_ += "upper TEXT, sum N N..., or quit\n";
  }
}

inline void Service::begin_request(std::string_view line) {
  in_request_ = true;
  const size_t space = line.find(' '), end = line.rfind(" HTTP/1.");
  method_ = line.substr(0, space);
  path_ = end > space ? line.substr(space + 1, end - space - 1) : "";
  keeps_alive_ = line.substr(end) != " HTTP/1.0";
}

inline void Service::take_header(std::string_view line) {
  std::string lower(line);
  for (char& c : lower) c = static_cast<char>(tolower(static_cast<unsigned char>(c)));
  if (lower.starts_with("connection:")) {
    if (lower.find("close") != std::string::npos) keeps_alive_ = false;
    if (lower.find("keep-alive") != std::string::npos) keeps_alive_ = true;
  }
  // A body would be taken for lines: it is answered, and nothing after it is read.
  if (lower.starts_with("content-length:") || lower.starts_with("transfer-encoding:")) keeps_alive_ = false;
}

inline void Service::answer_request() {
  in_request_ = false;
  server_figures.requests++;
  if (method_ != "GET" && method_ != "HEAD") return put_answer("405 Method Not Allowed", "text/plain", "GET or HEAD\n");
  if (path_ == "/") return put_answer("200 OK", "text/html; charset=utf-8", kPage);
  if (path_ == "/hello") return put_answer("200 OK", "text/plain", "Hello from Faultline's server.\n");
  if (path_ == "/figures") return put_answer("200 OK", "application/json", figures_as_json());
  if (path_.starts_with("/bytes/")) {
    const unsigned long long length = strtoull(path_.c_str() + 7, nullptr, 10);
    put_head("200 OK", "application/octet-stream", length);
    body_state_ = 1;
    if (method_ == "GET") body_left_ = length;
    return;
  }
  put_answer("404 Not Found", "text/plain", "There is /, /figures, /hello and /bytes/N.\n");
}

inline void Service::put_head(const char* status, const char* type, unsigned long long length) {
  out_ += std::string("HTTP/1.1 ") + status + "\r\nContent-Type: " + type + "\r\nContent-Length: " + std::to_string(length) +
          (keeps_alive_ ? "\r\n\r\n" : "\r\nConnection: close\r\n\r\n");
  ends_ = !keeps_alive_;
}

inline void Service::put_answer(const char* status, const char* type, std::string_view body) {
  put_head(status, type, body.size());
  if (method_ != "HEAD") out_ += body;
}

inline void Service::put_body_part() {
  for (; body_left_ > 0 && unsent().size() < kMostUnsent; body_left_--) {
    body_state_ = body_state_ * 1664525 + 1013904223;
    out_ += static_cast<char>(body_state_ >> 24);
  }
}
