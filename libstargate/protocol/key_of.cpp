#include "libstargate/protocol/frames.hpp"
#include "libstargate/protocol/json.hpp"
#include "libstargate/protocol/plain_frames.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace stargate::protocol {

namespace {

/// Walks over a message until it has met the key; takes nothing else.
struct key_finder : rapidjson::BaseReaderHandler<rapidjson::UTF8<>, key_finder> {
  std::optional<std::string> key;
  int depth = 0;
  bool is_next = false;

  bool Default() {
    is_next = false;
    return true;
  }
  bool StartObject() {
    ++depth;
    return Default();
  }
  bool EndObject(rapidjson::SizeType) {
    --depth;
    return Default();
  }
  bool Key(const char* text, rapidjson::SizeType size, bool) {
    is_next = depth == 1 && std::string_view{text, size} == "key";
    return true;
  }
  bool String(const char* text, rapidjson::SizeType size, bool) {
    if (!is_next)
      return true;
    key.emplace(text, size);
    return false; // nothing else is of interest
  }
};

} // namespace

std::optional<std::string> key_of(const std::string& frame) {
  if (const auto plain = read_plain_key(frame))
    return plain->key ? std::optional{std::string{*plain->key}} : std::nullopt;
  rapidjson::StringStream text{frame.c_str()};
  rapidjson::Reader reader;
  key_finder finder;
  reader.Parse<rapidjson::kParseIterativeFlag>(text, finder);
  return std::move(finder.key);
}

} // namespace stargate::protocol
