#include "libstargate/connection/frame_reader.hpp"

#include "libstargate/connection/frame_memory.hpp"
#include "libstargate/connection/give_back.hpp"
#include "libstargate/connection/masking.hpp"

#include <algorithm>
#include <utility>

namespace stargate::connection {

namespace {

constexpr std::size_t most_control = 125;
constexpr std::size_t beginning_of_a_message = 1024;   // enough to know what it is about
constexpr std::uint64_t most_thrown_away = 1ull << 30; // of one message; who sends more has lost its mind
constexpr std::size_t most_reserved = 1u << 20;        // on a peer's word alone

constexpr bool is_control(unsigned char kind) {
  return (kind & 0x8) != 0;
}

/// How many bytes a header has that begins with these two; a server's has no mask.
constexpr std::size_t header_size(unsigned char second) {
  const auto size = second & 0x7f;
  return size < 126 ? 2u : size == 126 ? 4u : 10u;
}

std::uint64_t payload_size(std::string_view header) {
  if (header.size() == 2)
    return static_cast<unsigned char>(header[1]) & 0x7f;
  std::uint64_t size = 0;
  for (const char c : header.substr(2))
    size = size << 8 | static_cast<unsigned char>(c);
  return size;
}

} // namespace

frame_reader::outcome frame_reader::broken(const char* problem) {
  problem_ = problem;
  return outcome::broken;
}

std::string frame_reader::room_for(std::size_t size) {
  auto room = memory_ ? memory_->take(size) : std::string{};
  room.clear();
  room.reserve(size);
  return room;
}

frame_reader::outcome frame_reader::feed(std::string_view bytes, std::vector<std::string>& messages,
                                         frame_events& events) {
  while (!bytes.empty()) {
    if (!in_payload_) {
      std::string_view header;
      if (header_.empty() && bytes.size() >= 2 && bytes.size() >= header_size(static_cast<unsigned char>(bytes[1]))) {
        header = bytes.substr(0, header_size(static_cast<unsigned char>(bytes[1])));
        bytes.remove_prefix(header.size());
      } else {
        const auto size = header_.size() < 2 ? 2 : header_size(static_cast<unsigned char>(header_[1]));
        const auto piece = bytes.substr(0, size - header_.size());
        header_ += piece;
        bytes.remove_prefix(piece.size());
        if (header_.size() < 2 || header_.size() < header_size(static_cast<unsigned char>(header_[1])))
          continue;
        header = header_;
      }
      if ((static_cast<unsigned char>(header[1]) & 0x80) != 0)
        return broken("a server's frame with a mask");
      const auto now = begin_frame(static_cast<unsigned char>(header[0]), payload_size(header));
      header_.clear();
      if (now != outcome::fine)
        return now;
    }
    // A whole message in one piece, which most are, is copied once.
    if (!is_control_ && is_final_ && kind_ != 0 && left_ <= bytes.size() && left_ <= most_message_ && message_.empty()
        && !stand_in_) {
      messages.push_back(room_for(left_));
      messages.back() += bytes.substr(0, left_);
      bytes.remove_prefix(left_);
      in_payload_ = in_message_ = false;
      continue;
    }
    const auto piece = bytes.substr(0, std::min<std::uint64_t>(left_, bytes.size()));
    bytes.remove_prefix(piece.size());
    left_ -= piece.size();
    if (is_control_)
      control_ += piece;
    else if (const auto now = take_data(piece, events); now != outcome::fine)
      return now;
    if (left_ > 0)
      continue;
    in_payload_ = false;
    if (const auto now = end_frame(messages, events); now != outcome::fine)
      return now;
  }
  return outcome::fine;
}

frame_reader::outcome frame_reader::begin_frame(unsigned char first, std::uint64_t size) {
  is_final_ = (first & 0x80) != 0;
  kind_ = first & 0xf;
  is_control_ = is_control(kind_);
  left_ = size;
  in_payload_ = true;
  if ((first & 0x70) != 0)
    return broken("a frame of an extension that nobody asked for");
  if (is_control_) {
    if (size > most_control || !is_final_)
      return broken("a control frame that is too large, or in pieces");
    if (kind_ > static_cast<unsigned char>(opcode::pong))
      return broken("a control frame of an unknown kind");
    return outcome::fine;
  }
  if (kind_ > static_cast<unsigned char>(opcode::binary))
    return broken("a frame of an unknown kind");
  if ((kind_ == 0) != in_message_)
    return broken(kind_ == 0 ? "a fragment of no message" : "a message within another");
  in_message_ = true;
  return outcome::fine;
}

frame_reader::outcome frame_reader::take_data(std::string_view piece, frame_events& events) {
  if (stand_in_) {
    thrown_away_ += piece.size();
    return thrown_away_ > most_thrown_away ? outcome::too_large : outcome::fine;
  }
  const auto whole = std::uint64_t{message_.size()} + piece.size() + left_;
  if (whole <= most_message_) {
    if (message_.empty())
      message_ = room_for(std::min<std::size_t>(whole, most_reserved));
    message_ += piece;
    return outcome::fine;
  }
  if (message_.size() < beginning_of_a_message)
    message_ += piece.substr(0, beginning_of_a_message - message_.size());
  if (whole > most_thrown_away)
    return outcome::too_large;
  if (message_.size() < beginning_of_a_message && left_ > 0)
    return outcome::fine; // more of its beginning comes
  stand_in_ = events.on_oversized(std::string_view{message_}.substr(0, beginning_of_a_message), whole);
  give_back(message_);
  return stand_in_ ? outcome::fine : outcome::too_large;
}

frame_reader::outcome frame_reader::end_frame(std::vector<std::string>& messages, frame_events& events) {
  if (is_control_)
    return take_control(events);
  if (!is_final_)
    return outcome::fine;
  messages.push_back(stand_in_ ? std::move(*stand_in_) : std::exchange(message_, {}));
  stand_in_.reset();
  thrown_away_ = 0;
  in_message_ = false;
  return outcome::fine;
}

frame_reader::outcome frame_reader::take_control(frame_events& events) {
  const auto payload = std::exchange(control_, {});
  if (kind_ == static_cast<unsigned char>(opcode::ping))
    events.on_ping(payload);
  if (kind_ != static_cast<unsigned char>(opcode::close))
    return outcome::fine;
  const auto byte = [&](std::size_t i) { return static_cast<int>(static_cast<unsigned char>(payload[i])); };
  events.on_close(payload.size() >= 2 ? byte(0) << 8 | byte(1) : 0,
                  payload.size() > 2 ? std::string_view{payload}.substr(2) : std::string_view{});
  return outcome::closed;
}

} // namespace stargate::connection
