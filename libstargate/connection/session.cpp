#include "libstargate/connection/session.hpp"

#include "libstargate/connection/masking.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <string_view>
#include <utility>

#ifdef __linux__
#include <linux/sock_diag.h>
#endif

namespace stargate::connection {

namespace {

constexpr auto placeholder_path = "/";
constexpr std::size_t unused_by_libwebsockets = 12; // bytes at the end of its buffer for a request
constexpr std::size_t most_request = 16u << 10;     // bytes of path and headers
constexpr std::size_t frames_a_write = 64;          // then other connections have their turn
constexpr std::size_t bytes_a_gathering = 128u << 10;
constexpr std::size_t worth_masking = 4096;            // a single frame as large as that is masked faster by us
constexpr std::size_t frames_a_batch = 1024;           // then the observer is told, even in the middle of a wake-up
constexpr std::size_t scratch_to_keep = 256u << 10;    // a larger one is given back after use
constexpr std::size_t beginning_of_a_frame = 1024;     // enough to know what it is about
constexpr std::uint64_t most_thrown_away = 1ull << 30; // of one frame; who sends more has lost its mind
constexpr int close_timeout = 5;                       // seconds, for what is unsent and for the peer's answer

} // namespace

session::session(endpoint to, std::unique_ptr<observer> who) : to_{std::move(to)}, observer_{std::move(who)} {}

void session::set_addresses(std::vector<std::string> addresses) {
  addresses_.assign(std::make_move_iterator(addresses.begin()), std::make_move_iterator(addresses.end()));
}

bool session::connect_next(const way& how) {
  // A host that is an IPv6 address stands in brackets in the Host header.
  const auto host = (has_ipv6_host() ? "[" + to_.host + "]" : to_.host) + ":" + std::to_string(to_.port);
  int flags = LCCSCF_HTTP_NO_FOLLOW_REDIRECT;
  if (how.tls) {
    flags |= LCCSCF_USE_SSL;
    if (how.trusts_anything || has_ipv6_host()) // an IPv6 address is compared where the chain is looked at
      flags |= LCCSCF_SKIP_SERVER_CERT_HOSTNAME_CHECK;
  }
  std::size_t request = to_.path.size() + 2 * host.size();
  for (const auto& [name, value] : to_.headers)
    request += name.size() + value.size() + 4;
  if (request > most_request)
    note({end::unsendable, 0,
          "the handshake would be " + std::to_string(request) + " bytes, more than the " + std::to_string(most_request)
            + " that servers take: use fewer topics, keys or shorter names"});
  while (!addresses_.empty() && !note_) {
    const auto address = std::move(addresses_.front());
    addresses_.pop_front();
    lws_client_connect_info info{};
    info.context = how.context;
    info.vhost = how.vhost;
    info.ssl_connection = flags;
    info.address = through_ ? to_.host.c_str() : address.c_str();
    info.port = to_.port;
    if (through_) { // the next connection may go by another address of it: libwebsockets has one for all
      const auto at = address.find(':') == std::string::npos ? address : "[" + address + "]";
      const auto& who = through_->credentials;
      if (lws_set_proxy(how.vhost, ((who.empty() ? who : who + "@") + at + ":" + through_->port).c_str()) != 0) {
        note({end::unsendable, 0, "the credentials of the proxy are too long"});
        break;
      }
    }
    info.path = placeholder_path; // `write_path` puts the true one there
    info.host = host.c_str();
    info.origin = host.c_str();
    info.local_protocol_name = how.protocol;
    info.ietf_version_or_minus_one = -1;
    info.retry_and_idle_policy = how.liveness;
    info.opaque_user_data = this;
    info.pwsi = &wsi_;
    phase_ = phase::calling;
    const bool begun = lws_client_connect_via_info(&info) != nullptr;
    phase_ = begun ? phase::connecting : phase::waiting;
    if (begun)
      return true;
    wsi_ = nullptr;
  }
  return false;
}

// libwebsockets cuts a request line after 2,047 bytes, without a word. So it writes a short one, and this puts the true
// path into it where the whole request waits to be sent.
bool session::write_path(unsigned char*& end, std::size_t room, std::size_t buffer_size) {
  const std::string line = "GET " + std::string{placeholder_path} + " HTTP/1.1\r\n";
  auto* const begin = end + room + unused_by_libwebsockets - buffer_size;
  auto* const found = std::search(begin, end, line.begin(), line.end());
  buffer_ = begin;
  const std::string true_line = "GET " + to_.path + " HTTP/1.1\r\n";
  const auto more = true_line.size() - line.size();
  if (found == end || more > room)
    return false;
  std::memmove(found + true_line.size(), found + line.size(), static_cast<std::size_t>(end - found) - line.size());
  std::memcpy(found, true_line.data(), true_line.size());
  end += more;
  return true;
}

void session::open(lws* wsi) {
  wsi_ = wsi;
  phase_ = is_closing() ? phase::closing : phase::open;
  observer_->on_open();
  if (is_closing() || !unsent_.empty())
    lws_callback_on_writable(wsi_);
}

void session::detach() {
  if (wsi_ != nullptr)
    lws_set_opaque_user_data(wsi_, nullptr);
  wsi_ = nullptr;
  if (phase_ == phase::connecting)
    phase_ = phase::waiting;
}

bool session::receive(lws* wsi, const char* piece, std::size_t size) {
  if (!stand_in_ && partial_.size() + size > to_.max_frame) {
    const auto whole = std::uint64_t{partial_.size()} + size + lws_remaining_packet_payload(wsi);
    if (partial_.size() < beginning_of_a_frame)
      partial_.append(piece, std::min(size, beginning_of_a_frame - partial_.size()));
    if (whole <= most_thrown_away)
      stand_in_ = observer_->on_oversized(std::string_view{partial_}.substr(0, beginning_of_a_frame), whole);
    partial_ = {};
    if (!stand_in_)
      return false;
  }
  if (!stand_in_)
    partial_.append(piece, size);
  else if ((thrown_away_ += size) > most_thrown_away)
    return false;
  if (lws_is_final_fragment(wsi) != 0 && lws_remaining_packet_payload(wsi) == 0) {
    received_.push_back(stand_in_ ? std::move(*stand_in_) : std::exchange(partial_, {}));
    stand_in_.reset();
    thrown_away_ = 0;
    if (received_.size() >= frames_a_batch)
      flush();
  }
  return true;
}

void session::flush() {
  if (!has_ended() && !received_.empty())
    observer_->on_frames(std::exchange(received_, {}));
}

void session::send(std::vector<frame> frames) {
  if (has_ended() || is_closing())
    return;
  unsent_.insert(unsent_.end(), std::make_move_iterator(frames.begin()), std::make_move_iterator(frames.end()));
  if (phase_ == phase::open)
    lws_callback_on_writable(wsi_);
}

// libwebsockets writes each frame with a call of its own, reads four random bytes for it with another, and masks byte
// by byte. Where the socket's own buffer surely has room, and nothing of libwebsockets waits in front of it, we write
// whole frames past it, as many as there are. It writes control frames between calls of ours only, so they never land
// inside a frame.
session::gathered session::write_gathered() {
#ifndef SO_MEMINFO
  return gathered::impossible; // nobody tells how much room there is
#else
  if (lws_is_ssl(wsi_) != 0 || unsent_.empty() || (unsent_.size() == 1 && unsent_.front()->size() < worth_masking))
    return gathered::impossible;
  const int fd = lws_get_socket_fd(wsi_);
  std::array<std::uint32_t, SK_MEMINFO_VARS> memory{};
  socklen_t size = sizeof memory;
  if (::getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory.data(), &size) != 0)
    return gathered::impossible;
  // The kernel counts its own overhead as well, and what is queued with it: a half of what is left has always room for
  // what it is asked to take.
  const auto left = static_cast<std::ptrdiff_t>(memory[SK_MEMINFO_SNDBUF]) - memory[SK_MEMINFO_WMEM_QUEUED];
  scratch_.clear();
  std::size_t count = 0;
  for (; count < unsent_.size() && scratch_.size() < bytes_a_gathering; ++count) {
    const auto& text = *unsent_[count];
    if (static_cast<std::ptrdiff_t>(scratch_.size() + text.size() + most_header) > left / 2)
      break;
    append_masked_frame(scratch_, text);
  }
  if (count == 0)
    return gathered::impossible;
  const auto sent = ::send(fd, scratch_.data(), scratch_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
    return gathered::impossible;
  if (sent != static_cast<ssize_t>(scratch_.size()))
    return gathered::broken; // half a frame may be out: nothing can follow it
  unsent_.erase(unsent_.begin(), unsent_.begin() + static_cast<std::ptrdiff_t>(count));
  return gathered::sent;
#endif
}

int session::write() {
  if (phase_ == phase::close_sent)
    return 0; // a second -1 would cut the close handshake short, and with it what the peer has not read yet
  if (lws_partial_buffered(wsi_) == 0)
    switch (write_gathered()) {
      case gathered::broken: return -1;
      case gathered::sent:
      case gathered::impossible: break;
    }
  for (std::size_t written = 0; !unsent_.empty() && written < frames_a_write; ++written) {
    const auto& text = *unsent_.front();
    // libwebsockets masks in place, and needs room before the text.
    scratch_.resize(LWS_PRE + text.size());
    std::memcpy(scratch_.data() + LWS_PRE, text.data(), text.size());
    if (lws_write(wsi_, scratch_.data() + LWS_PRE, text.size(), LWS_WRITE_TEXT) < static_cast<int>(text.size()))
      return -1;
    unsent_.pop_front();
    if (lws_partial_buffered(wsi_) != 0)
      break;
  }
  if (scratch_.capacity() > scratch_to_keep)
    scratch_ = {};
  if (!unsent_.empty() || (is_closing() && lws_partial_buffered(wsi_) != 0)) {
    lws_callback_on_writable(wsi_);
    return 0;
  }
  if (!is_closing())
    return 0;
  lws_close_reason(wsi_, LWS_CLOSE_STATUS_NORMAL, nullptr, 0);
  phase_ = phase::close_sent;
  return -1;
}

void session::begin_close() {
  if (is_closing() || has_ended())
    return;
  const bool stands = phase_ == phase::open;
  phase_ = stands ? phase::closing : phase::giving_up;
  if (wsi_ == nullptr)
    return;
  if (stands)
    lws_callback_on_writable(wsi_);
  lws_set_timeout(wsi_, PENDING_TIMEOUT_USER_OK, stands ? close_timeout : LWS_TO_KILL_ASYNC);
}

void session::note(ended why) {
  if (note_)
    return;
  std::replace_if(
    why.text.begin(), why.text.end(), [](char c) { return (c >= 0 && c < ' ') || c == '\x7f'; }, ' ');
  hide_secrets(why.text);
  note_ = std::move(why);
}

void session::hide_secrets(std::string& text) const {
  for (const auto& [name, value] : to_.headers) {
    const auto secret = std::string_view{value}.substr(value.rfind(' ') + 1); // behind the scheme
    for (auto at = secret.empty() ? std::string::npos : text.find(secret); at != std::string::npos;
         at = text.find(secret, at + secret.size()))
      std::fill_n(text.begin() + static_cast<std::ptrdiff_t>(at), secret.size(), '*');
  }
}

void session::end(ended why) {
  if (has_ended())
    return;
  flush();
  unsent_.clear();
  const bool was_asked_for = is_closing();
  phase_ = phase::ended;
  const auto last = std::move(observer_);
  if (was_asked_for)
    last->on_end({end::closed, 0, {}});
  else
    last->on_end(note_ ? std::move(*note_) : std::move(why));
}

} // namespace stargate::connection
