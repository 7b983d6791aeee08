/// @file
/// RapidJSON, as we use it: written straight into a string, parsed in place and without recursion.
#pragma once

#define RAPIDJSON_HAS_STDSTRING 1
#include <rapidjson/document.h>
#include <rapidjson/reader.h>
#include <rapidjson/writer.h>

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace stargate::protocol::json {

/// An output stream of RapidJSON that appends to a string.
class string_stream {
public:
  using Ch = char;
  explicit string_stream(std::string& out) : out_{out} {}
  void Put(char c) { out_.push_back(c); }
  void Flush() {}

private:
  std::string& out_;
};

/// Writes checked UTF-8: a call gives false when a text is not.
using writer = rapidjson::Writer<string_stream, rapidjson::UTF8<>, rapidjson::UTF8<>, rapidjson::CrtAllocator,
                                 rapidjson::kWriteValidateEncodingFlag>;

/// Appends `text` as a JSON string. False when it is not UTF-8.
[[nodiscard]] inline bool append_string(std::string& out, std::string_view text) {
  string_stream stream{out};
  writer w{stream};
  return w.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
}

/// Parses `text`, which it takes apart. Iterative, so that deep nesting cannot exhaust the stack.
inline constexpr unsigned parse_flags =
  rapidjson::kParseInsituFlag | rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag;

namespace detail {

/// Room for what describes one message; more comes from the heap.
struct room {
  alignas(std::max_align_t) std::array<char, 1024> for_values;
  alignas(std::max_align_t) std::array<char, 1024> for_stack;
  rapidjson::MemoryPoolAllocator<> values{for_values.data(), for_values.size()};
  rapidjson::MemoryPoolAllocator<> stack{for_stack.data(), for_stack.size()};
};

} // namespace detail

/// A document that has its memory in itself, as long as it is small: RapidJSON's own takes 64 KiB of the heap for each.
class document : private detail::room,
                 public rapidjson::GenericDocument<rapidjson::UTF8<>, rapidjson::MemoryPoolAllocator<>,
                                                   rapidjson::MemoryPoolAllocator<>> {
public:
  document() : GenericDocument{&values, for_stack.size() / 2, &stack} {}
  document(const document&) = delete;
  document& operator=(const document&) = delete;
};

/// A member of an object when it is there and a string; null otherwise.
[[nodiscard]] inline const rapidjson::Value* find_string(const rapidjson::Value& object, const char* name) {
  const auto member = object.FindMember(name);
  return member != object.MemberEnd() && member->value.IsString() ? &member->value : nullptr;
}

[[nodiscard]] inline std::string_view view(const rapidjson::Value& string) {
  return {string.GetString(), string.GetStringLength()};
}

} // namespace stargate::protocol::json
