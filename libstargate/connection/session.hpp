/// @file
/// One WebSocket connection as the event loop sees it: how it comes to be, what is to be sent, what has come,
/// and how it ends.
#pragma once

#include "libstargate/connection/frame_reader.hpp"
#include "libstargate/connection/handshake.hpp"
#include "libstargate/connection/masking.hpp"
#include "libstargate/connection/proxy.hpp"
#include "libstargate/connection/stream.hpp"
#include "libstargate/connection/transport.hpp"

#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace stargate::connection {

/// @par Threads the one that does the event loop's work
class session : private frame_events {
public:
  using clock = std::chrono::steady_clock;

  session(endpoint to, std::unique_ptr<observer> who);

  [[nodiscard]] const endpoint& to() const { return to_; }

  /// What is to be done next for it.
  enum class next : std::uint8_t {
    wait,      ///< Until its socket is ready, or it is late.
    go_on,     ///< At once: there is more to read than was taken.
    reattempt, ///< Connect to the next address: this one has failed.
    finish,    ///< It is over; `take_end` says how.
  };

  // -- connecting

  /// The first step. @param through the proxy, whose addresses are then wanted
  void begin(clock::time_point now, std::optional<proxy> through);
  [[nodiscard]] const proxy* through() const { return through_.get(); }
  void set_addresses(std::vector<std::string> addresses);
  /// Begins to connect to the next address. @param by how TLS is spoken, or null; it outlives the session
  [[nodiscard]] next connect(tls* by);
  /// Whether the handshake was done, also while it ends.
  [[nodiscard]] bool was_opened() const;

  // -- the socket

  [[nodiscard]] int socket() const { return stream_.socket(); }
  [[nodiscard]] bool wants_room() const { return wants_room_; }
  /// The socket is ready. @param buffer to read into, for all sessions; @param readable whether there is something to
  /// read, @param has_room or room to write
  [[nodiscard]] next on_ready(std::span<char> buffer, bool readable, bool has_room, clock::time_point now);
  /// What has come, and is to be handed to the observer.
  [[nodiscard]] std::size_t frames_received() const { return received_.size(); }
  [[nodiscard]] std::size_t bytes_received() const { return bytes_received_; }
  /// Those of the frames that answer one which was sent.
  [[nodiscard]] std::size_t answers_received() const { return to_.answers_each ? received_.size() : 0; }
  /// Frames that the peer is to answer, and has not.
  [[nodiscard]] std::size_t awaited() const { return awaited_; }
  /// Hands what has come to the observer.
  void flush(load load);

  // -- time

  /// When it is late; `on_late` is called then, or somewhat after.
  [[nodiscard]] clock::time_point late_at() const { return late_at_; }
  [[nodiscard]] next on_late(clock::time_point now);

  // -- sending

  void send(std::vector<frame> frames);
  /// So many frames are not written.
  [[nodiscard]] std::size_t unsent() const { return unsent_.size() - taken_; }
  /// Those of them that wait for the peer to take what is before them.
  [[nodiscard]] std::size_t backlog() const { return wants_room_ ? unsent() : 0; }
  /// Writes what is there to write, and what the socket takes.
  [[nodiscard]] next write();

  // -- ending

  /// Asks for the end, after what is unsent.
  [[nodiscard]] next begin_close(clock::time_point now);
  /// Ends it for a reason from outside; the first reason counts.
  [[nodiscard]] next fail(ended why);
  /// Tells the observer, once, and closes.
  void end();
  /// The end of one whose loop had stopped before it began. @par Threads the caller's: there is no other
  void end_unmade();
  [[nodiscard]] bool has_ended() const { return phase_ == phase::ended; }

private:
  enum class phase : std::uint8_t {
    waiting,    ///< For the addresses, or for the turn of the next one.
    connecting, ///< To the address,
    tunnelling, ///< through a proxy,
    securing,   ///< by TLS,
    upgrading,  ///< to WebSocket.
    open,
    closing,    ///< This side asked for the end, and what is unsent goes first.
    close_sent, ///< The peer has to answer the close frame.
    ended,      ///< The observer was told, and is gone.
  };

  [[nodiscard]] next on_connected();
  [[nodiscard]] next begin_securing();
  [[nodiscard]] next go_on_securing();
  [[nodiscard]] next begin_upgrade();
  [[nodiscard]] next take_answer(std::string_view bytes);
  [[nodiscard]] next take_whole_answer();
  [[nodiscard]] next refused_by_proxy();
  [[nodiscard]] next refused();
  [[nodiscard]] next opened(std::string_view behind);
  [[nodiscard]] next take_frames(std::string_view bytes);
  [[nodiscard]] next read(std::span<char> buffer, clock::time_point now);
  [[nodiscard]] next on_no_more();
  [[nodiscard]] next write_failed();
  /// @param spoke whether it was the peer's doing, which says more than that an address cannot be reached
  [[nodiscard]] next attempt_failed(std::string why, bool spoke = true);
  [[nodiscard]] next over(ended why);
  /// Masks as many of the unsent as go over the socket at a time.
  void take_unsent();
  void drop_unsent();
  void close_with(int code, std::string_view reason);
  void hide_secrets(std::string& text) const;
  [[nodiscard]] std::string made_fit(std::string text) const;
  [[nodiscard]] bool is_connecting() const;

  void on_ping(std::string_view payload) override;
  void on_close(int code, std::string_view reason) override;
  std::optional<std::string> on_oversized(std::string_view beginning, std::uint64_t size) override;

  endpoint to_;
  std::unique_ptr<observer> observer_;
  stream stream_;
  tls* tls_ = nullptr;
  std::list<std::string> addresses_;
  std::unique_ptr<const proxy> through_;  ///< Null without.
  std::unique_ptr<answer_reader> answer_; ///< While an answer to a request is read.
  std::string key_;
  frame_reader reader_;
  std::optional<ended> end_;
  std::string last_failure_; ///< Empty as long as nothing was tried.
  bool peer_spoke_ = false;  ///< And the last failure is about that.
  std::vector<std::string> received_;
  std::size_t bytes_received_ = 0;
  std::size_t awaited_ = 0;
  std::vector<frame> unsent_; ///< From `taken_` on.
  std::size_t taken_ = 0;
  byte_buffer out_; ///< What goes over the socket next, from `written_` on.
  std::size_t written_ = 0;
  clock::time_point late_at_ = clock::time_point::max();
  clock::time_point connect_by_ = clock::time_point::max();
  clock::time_point heard_at_;
  bool is_pinged_ = false;
  bool ping_is_in_line_ = false; ///< Something was before it that the peer had not taken,
  std::uint64_t peer_took_ = 0;  ///< and so many bytes the peer had.
  bool is_asked_to_close_ = false;
  bool is_deaf_ = false; ///< The peer takes nothing more, but may have said something before.
  bool wants_room_ = false;
  phase phase_ = phase::waiting;
};

} // namespace stargate::connection
