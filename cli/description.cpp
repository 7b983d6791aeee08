#include "cli/description.hpp"

#include "libstargate/protocol/json.hpp"
#include "libstargate/protocol/option_table.hpp"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>
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
        mistakes.push_back(where + row->name + " is '" + as_text(v) + "', which is not " + row->expected);
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
  o.handler = make_handler({std::string{protocol::json::view(*command)}, std::move(produce_to), o.handler_timeout});
}

/// How something was written, whatever blanks and comments there were.
std::string text_of(const Value& value) {
  std::string text;
  protocol::json::string_stream stream{text};
  rapidjson::Writer<protocol::json::string_stream> writer{stream};
  value.Accept(writer);
  return text;
}

const std::vector<std::string_view> lists{"producers", "consumers", "readers"};

/// How the elements of a list were written. What is not there was added by the way, for a `produce_to`.
std::vector<std::string> texts_in(const Value& document, const char* list) {
  std::vector<std::string> texts;
  if (const auto found = document.FindMember(list); found != document.MemberEnd())
    for (const auto& element : found->value.GetArray())
      texts.push_back(text_of(element));
  return texts;
}

void note_parts(const Value& document, description& d) {
  const auto note = [&d](std::string component, const topic_name& topic, pipelines what, std::string text) {
    registry_key key{std::move(component), topic, d.tree.name};
    const auto id = to_string(key);
    d.parts.insert_or_assign(id, description::part{std::move(key), std::move(what), std::move(text)});
  };
  auto texts = texts_in(document, "producers");
  texts.resize(d.tree.producers.size());
  for (std::size_t i = 0; i < texts.size(); ++i)
    note("producer", d.tree.producers[i].topic, {{d.tree.producers[i]}, {}, {}}, texts[i]);
  texts = texts_in(document, "consumers");
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto& c = d.tree.consumers[i];
    note("consumer/" + c.subscription, protocol::registered_topic(c), {{}, {c}, {}}, texts[i]);
  }
  texts = texts_in(document, "readers");
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto& r = d.tree.readers[i];
    note(r.reader_name ? "reader/" + *r.reader_name : "reader", r.topic, {{}, {}, {r}}, texts[i]);
  }
  for (const auto& [name, value] : document.GetObject())
    if (const auto key = protocol::json::view(name); std::find(lists.begin(), lists.end(), key) == lists.end())
      d.rest += std::string{key} + ":" + text_of(value) + "\n";
}

} // namespace

caf::expected<description> read_description(const std::string& text, const std::string& file, const options& into,
                                            const handler_maker& make_handler) {
  rapidjson::Document document;
  document.Parse<rapidjson::kParseIterativeFlag | rapidjson::kParseCommentsFlag>(text.c_str(), text.size());
  if (document.HasParseError() || !document.IsObject())
    return make_error(errc::invalid_option, "the description '" + file + "' is not a JSON object (offset "
                                              + std::to_string(document.GetErrorOffset()) + ")");
  std::vector<std::string> mistakes;
  description d{into};
  auto& tree = d.tree;
  if (document.HasMember("hosts")) // they stand instead of --url, not beside it
    tree.hosts.clear();
  read_options(document, "", tree, lists, mistakes);
  tree.name = into.name; // the command has one tree, and names it
  each_part(document, "producers", mistakes, [&](const Value& v, const std::string& where) {
    read_options(v, where, tree.producers.emplace_back(), {}, mistakes);
  });
  each_part(document, "consumers", mistakes, [&](const Value& v, const std::string& where) {
    consumer_options c;
    c.on_failure = failure_action::nack; // a command that fails now and then does not take its consumer down
    read_options(v, where, c, {"command", "produce_to"}, mistakes);
    add_handler(v, where, c, tree, make_handler, mistakes);
    tree.consumers.push_back(std::move(c));
  });
  each_part(document, "readers", mistakes, [&](const Value& v, const std::string& where) {
    reader_options r;
    read_options(v, where, r, {"command", "produce_to"}, mistakes);
    add_handler(v, where, r, tree, make_handler, mistakes);
    tree.readers.push_back(std::move(r));
  });
  if (tree.consumers.empty() && tree.readers.empty())
    mistakes.emplace_back("there is neither a consumer nor a reader");
  if (mistakes.empty()) {
    if (auto wrong = validate(tree))
      return wrong;
    note_parts(document, d);
    return d;
  }
  std::string all;
  for (const auto& mistake : mistakes)
    all += (all.empty() ? "" : "; ") + mistake;
  return make_error(errc::invalid_option, file + ": " + all);
}

changes changes_between(const description& now, const description& next) {
  changes result;
  for (const auto& [id, part] : now.parts)
    if (const auto found = next.parts.find(id); found == next.parts.end() || found->second.text != part.text)
      result.removed.push_back(&part);
  for (const auto& [id, part] : next.parts)
    if (const auto found = now.parts.find(id); found == now.parts.end() || found->second.text != part.text)
      result.added.push_back(&part);
  return result;
}

pipelines all_of(const std::vector<const description::part*>& parts) {
  pipelines all;
  const auto append = [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); };
  for (const auto* part : parts) {
    append(all.producers, part->what.producers);
    append(all.consumers, part->what.consumers);
    append(all.readers, part->what.readers);
  }
  return all;
}

} // namespace stargate::cli
