/// @file
/// The text of a frame to send, whose payload is encoded only where the frame is written.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace stargate::protocol {

/// A payload: bytes of its own, or bytes that it has in common with others.
class payload_bytes {
public:
  payload_bytes() = default;
  explicit payload_bytes(std::string own) : own_{std::move(own)} {}
  explicit payload_bytes(std::shared_ptr<const std::string> common) : common_{std::move(common)} {}

  [[nodiscard]] std::string_view view() const { return common_ ? *common_ : own_; }

private:
  std::string own_;
  std::shared_ptr<const std::string> common_;
};

/// JSON text in which a payload stands in base64. What waits to be written, or to be written again, is the payload as it
/// came: it takes three quarters of the room, and whoever writes it encodes it to where it goes.
class frame_text {
public:
  /// Text as it is.
  explicit frame_text(std::string text) : around_{std::move(text)} {}
  /// @param around what stands before and behind the payload; @param before how much of it stands before; there is
  /// something behind
  frame_text(std::string around, std::size_t before, payload_bytes payload)
    : around_{std::move(around)},
      before_{before},
      payload_{std::move(payload)} {}

  [[nodiscard]] std::size_t size() const;
  /// @param to a place with room for `size()` characters
  void write(char* to) const;
  [[nodiscard]] std::string str() const;
  /// Has the processor fetch what is to be touched when it goes.
  void fetch() const { __builtin_prefetch(around_.data()); }

private:
  std::string around_;
  std::size_t before_ = 0;
  payload_bytes payload_;
};

} // namespace stargate::protocol
