#include "libstargate/protocol/refusal.hpp"

#include "libstargate/protocol/json.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

namespace stargate::protocol {

namespace {

constexpr std::size_t most_said = 300;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool equal_in_any_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

bool contains(std::string_view text, std::string_view part) {
  return std::search(text.begin(), text.end(), part.begin(), part.end(),
                     [](char x, char y) { return lower(x) == lower(y); })
         != text.end();
}

/// Cuts `text` at the first `mark` and gives what stood before it.
std::optional<std::string_view> cut_at(std::string_view& text, std::string_view mark) {
  const auto at = text.find(mark);
  if (at == std::string_view::npos)
    return std::nullopt;
  const auto before = text.substr(0, at);
  text.remove_prefix(at + mark.size());
  return before;
}

/// As far as the answer says that it goes; nothing where it does not say so.
std::string_view body_of(std::string_view answer) {
  std::size_t length = 0;
  for (bool first = true;; first = false) {
    const auto line = cut_at(answer, "\r\n");
    if (!line || (first && !line->starts_with("HTTP/1.")))
      return {};
    if (line->empty())
      return answer.substr(0, length);
    auto value = *line;
    const auto name = cut_at(value, ":");
    if (!name || !equal_in_any_case(*name, "content-length"))
      continue;
    value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
    static_cast<void>(std::from_chars(value.data(), value.data() + value.size(), length));
  }
}

/// What the broker behind a broker's WebSocket service said stands in `{"errorMsg":"…","reqId":…}`, which is no JSON:
/// it is not escaped.
std::string_view without_envelope(std::string_view message) {
  auto rest = message;
  if (cut_at(rest, R"({"errorMsg":")"))
    if (const auto said = cut_at(rest, R"(","reqId":)"))
      return *said;
  return message;
}

/// Jetty's page has a table with what was asked for, the status, and the message.
std::string_view message_in_page(std::string_view page) {
  for (const std::string_view begins : {"<th>MESSAGE:</th><td>", "Reason:\n<pre>"}) {
    auto rest = page;
    if (cut_at(rest, begins))
      return cut_at(rest, "</").value_or(std::string_view{});
  }
  return {};
}

std::string unescaped(std::string_view html) {
  constexpr std::array<std::pair<std::string_view, char>, 6> entities{
    {{"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&quot;", '"'}, {"&#39;", '\''}, {"&apos;", '\''}}};
  std::string text;
  while (!html.empty()) {
    const auto* const entity =
      std::find_if(entities.begin(), entities.end(), [&](const auto& e) { return html.starts_with(e.first); });
    text += entity == entities.end() ? html.front() : entity->second;
    html.remove_prefix(entity == entities.end() ? 1 : entity->first.size());
  }
  return text;
}

std::string reason_in_json(std::string_view body) {
  rapidjson::Document document;
  document.Parse<rapidjson::kParseIterativeFlag>(body.data(), body.size());
  if (document.HasParseError() || !document.IsObject())
    return {};
  for (const auto* name : {"reason", "message"})
    if (const auto* found = json::find_string(document, name))
      return std::string{json::view(*found)};
  return {};
}

} // namespace

std::string reason_in_answer(std::string_view answer) {
  const auto body = body_of(answer);
  const auto message = body.starts_with('{') ? reason_in_json(body) : unescaped(message_in_page(body));
  std::string reason{without_envelope(message)};
  std::replace_if(
    reason.begin(), reason.end(), [](char c) { return c < ' ' || c > '~'; }, ' ');
  if (reason.size() > most_said)
    reason = reason.substr(0, most_said) + "...";
  return reason;
}

errc permanent_code(std::string_view reason) {
  // The last four are what the broker's own decoder says of a message id.
  constexpr std::array<std::pair<std::string_view, errc>, 14> marks{{{"Namespace not found", errc::not_found},
                                                                     {"Topic not found", errc::not_found},
                                                                     {"IncompatibleSchema", errc::bad_request},
                                                                     {"Incompatible schema", errc::bad_request},
                                                                     {"no longer supported", errc::bad_request},
                                                                     {"already terminated", errc::topic_terminated},
                                                                     {"TopicTerminated", errc::topic_terminated},
                                                                     {"Invalid topic name", errc::bad_request},
                                                                     {"Illegal topic partition", errc::bad_request},
                                                                     {"startMessageId is illegal", errc::bad_request},
                                                                     {"Illegal base64", errc::bad_request},
                                                                     {"exceeds writerIndex", errc::bad_request},
                                                                     {"required fields are missing", errc::bad_request},
                                                                     {"malformed varint", errc::bad_request}}};
  const auto* const found =
    std::find_if(marks.begin(), marks.end(), [&](const auto& mark) { return contains(reason, mark.first); });
  return found == marks.end() ? errc::none : found->second;
}

} // namespace stargate::protocol
