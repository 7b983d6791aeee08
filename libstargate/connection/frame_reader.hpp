/// @file
/// Takes a server's bytes apart into messages and control frames: RFC 6455, section 5.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace stargate::connection {

class frame_memory;

/// What a reader finds beside messages.
class frame_events {
public:
  frame_events() = default;
  frame_events(const frame_events&) = delete;
  frame_events& operator=(const frame_events&) = delete;
  virtual ~frame_events() = default;

  virtual void on_ping(std::string_view payload) = 0;
  /// The peer's close frame; what comes after it is not read. @param code 0 when it gives none
  virtual void on_close(int code, std::string_view reason) = 0;
  /// A message is larger than allowed. It is thrown away as it comes, and what this gives takes its place.
  /// @param beginning its first bytes; @param size at least its size
  virtual std::optional<std::string> on_oversized(std::string_view beginning, std::uint64_t size) = 0;
};

/// @par Threads one at a time
class frame_reader {
public:
  enum class outcome : std::uint8_t {
    fine,
    closed,    ///< By the peer's close frame.
    broken,    ///< What came is not WebSocket; `problem` says what.
    too_large, ///< A message is larger than allowed, and nothing takes its place.
  };

  /// @param memory for large messages; may be null
  explicit frame_reader(std::size_t most_message, std::shared_ptr<frame_memory> memory = {})
    : most_message_{most_message},
      memory_{std::move(memory)} {}

  /// Takes the next bytes. Whole messages are appended to `messages`. Nothing more may be fed unless all was fine.
  [[nodiscard]] outcome feed(std::string_view bytes, std::vector<std::string>& messages, frame_events& events);
  [[nodiscard]] const char* problem() const { return problem_; }

private:
  [[nodiscard]] outcome begin_frame(unsigned char first, std::uint64_t size);
  [[nodiscard]] outcome end_frame(std::vector<std::string>& messages, frame_events& events);
  [[nodiscard]] outcome take_control(frame_events& events);
  [[nodiscard]] outcome take_data(std::string_view piece, frame_events& events);
  [[nodiscard]] outcome broken(const char* problem);
  [[nodiscard]] std::string room_for(std::size_t size);

  const std::size_t most_message_;
  const std::shared_ptr<frame_memory> memory_;
  const char* problem_ = "";
  // The frame that comes:
  std::string header_; ///< Its first bytes, as long as they are not all there.
  bool in_payload_ = false;
  std::uint64_t left_ = 0; ///< Of its payload.
  bool is_final_ = false;
  bool is_control_ = false;
  unsigned char kind_ = 0;
  std::string control_;
  // The message that comes, of one frame or several:
  bool in_message_ = false;
  std::string message_;
  std::uint64_t thrown_away_ = 0;
  std::optional<std::string> stand_in_; ///< For a message that is too large.
};

} // namespace stargate::connection
