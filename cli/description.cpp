#include "cli/description.hpp"

#include "libstargate/protocol/json.hpp"
#include "libstargate/protocol/option_table.hpp"

#include <algorithm>
#include <string_view>
#include <vector>

namespace stargate::cli {

namespace {

using rapidjson::Value;

std::string as_text(const Value& value) {
  if (value.IsString())
    return std::string{protocol::json::view(value)};
  if (value.IsBool())
    return value.GetBool() ? "true" : "false";
  if (value.IsInt64())
    return std::to_string(value.GetInt64());
  if (value.IsDouble())
    return std::to_string(value.GetDouble());
  return {};
}

/// Reads options by the names they have in the table. Members in `others` are the caller's to read.
template <class Options>
void read_options(const Value& object, const std::string& where, Options& into,
                  const std::vector<std::string_view>& others, std::vector<std::string>& mistakes) {
  for (const auto& [name, value] : object.GetObject()) {
    const auto key = protocol::json::view(name);
    if (std::find(others.begin(), others.end(), key) != others.end())
      continue;
    const protocol::option_row<Options>* row = nullptr;
    for (const auto& r : protocol::rows<Options>())
      if (r.name == key && r.set)
        row = &r;
    if (row == nullptr) {
      mistakes.push_back(where + "there is no option '" + std::string{key} + "'");
      continue;
    }
    const auto set = [&](const Value& v) {
      if (!row->set(into, as_text(v)))
        mistakes.push_back(where + row->name + " is '" + as_text(v) + "', which is not " + row->type);
    };
    if (value.IsArray() && row->is_list)
      for (const auto& element : value.GetArray())
        set(element);
    else
      set(value);
  }
}

/// The parts of one kind: `"consumers": [{…}, …]`.
template <class Part>
void each_part(const Value& document, const char* name, std::vector<std::string>& mistakes, Part read) {
  const auto list = document.FindMember(name);
  if (list == document.MemberEnd())
    return;
  if (!list->value.IsArray()) {
    mistakes.push_back(std::string{name} + " is not a list");
    return;
  }
  for (rapidjson::SizeType i = 0; i < list->value.Size(); ++i) {
    const auto where = std::string{name} + "[" + std::to_string(i) + "].";
    if (list->value[i].IsObject())
      read(list->value[i], where);
    else
      mistakes.push_back(where + " is not an object");
  }
}

template <class Options>
void add_handler(const Value& object, const std::string& where, Options& o, options& tree,
                 const handler_maker& make_handler, std::vector<std::string>& mistakes) {
  const auto* command = protocol::json::find_string(object, "command");
  if (command == nullptr || command->GetStringLength() == 0) {
    mistakes.push_back(where + "command is missing: the shell command that gets each message on its standard input");
    return;
  }
  std::optional<topic_name> produce_to;
  if (const auto* text = protocol::json::find_string(object, "produce_to")) {
    auto topic = parse_topic(std::string{protocol::json::view(*text)});
    if (!topic) {
      mistakes.push_back(where + "produce_to: " + describe(topic.error()));
      return;
    }
    produce_to = *topic;
    bool known = false;
    for (const auto& p : tree.producers)
      known = known || p.topic == *topic;
    if (!known)
      tree.producers.push_back({.topic = *topic});
  }
  o.handler = make_handler(std::string{protocol::json::view(*command)}, std::move(produce_to));
}

} // namespace

caf::error read_description(const std::string& text, const std::string& file, options& into,
                            const handler_maker& make_handler) {
  rapidjson::Document document;
  document.Parse<rapidjson::kParseIterativeFlag | rapidjson::kParseCommentsFlag>(text.c_str(), text.size());
  if (document.HasParseError() || !document.IsObject())
    return make_error(errc::invalid_option, "the description '" + file + "' is not a JSON object (offset "
                                              + std::to_string(document.GetErrorOffset()) + ")");
  std::vector<std::string> mistakes;
  if (document.HasMember("hosts")) // they stand instead of --url, not beside it
    into.hosts.clear();
  read_options(document, "", into, {"producers", "consumers", "readers"}, mistakes);
  each_part(document, "producers", mistakes, [&](const Value& v, const std::string& where) {
    read_options(v, where, into.producers.emplace_back(), {}, mistakes);
  });
  each_part(document, "consumers", mistakes, [&](const Value& v, const std::string& where) {
    consumer_options c;
    c.on_failure = failure_action::nack; // a command that fails now and then does not take its consumer down
    read_options(v, where, c, {"command", "produce_to"}, mistakes);
    add_handler(v, where, c, into, make_handler, mistakes);
    into.consumers.push_back(std::move(c));
  });
  each_part(document, "readers", mistakes, [&](const Value& v, const std::string& where) {
    reader_options r;
    read_options(v, where, r, {"command", "produce_to"}, mistakes);
    add_handler(v, where, r, into, make_handler, mistakes);
    into.readers.push_back(std::move(r));
  });
  if (into.consumers.empty() && into.readers.empty())
    mistakes.emplace_back("there is neither a consumer nor a reader");
  if (mistakes.empty())
    return validate(into);
  std::string all;
  for (const auto& mistake : mistakes)
    all += (all.empty() ? "" : "; ") + mistake;
  return make_error(errc::invalid_option, file + ": " + all);
}

} // namespace stargate::cli
