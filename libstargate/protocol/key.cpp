#include <stargate/error.hpp>
#include <stargate/key.hpp>

#include "libstargate/protocol/percent.hpp"

#include <array>

namespace stargate {

namespace {

caf::error bad_topic(std::string_view text, std::string_view why) {
  return make_error(errc::invalid_topic, "'" + std::string{text} + "' is not a topic: " + std::string{why}
                                           + "; write persistent://tenant/namespace/topic, or a bare name");
}

} // namespace

std::string_view name_of(persistence p) noexcept {
  return p == persistence::persistent ? "persistent" : "non-persistent";
}

std::string to_string(const topic_name& name) {
  return std::string{name_of(name.persistence)} + "://" + name.tenant + "/" + name.ns + "/" + name.topic;
}

caf::expected<topic_name> parse_topic(std::string_view text) {
  topic_name result;
  auto rest = text;
  const auto scheme = text.find("://");
  if (scheme != std::string_view::npos) {
    const auto word = text.substr(0, scheme);
    if (word == name_of(persistence::non_persistent))
      result.persistence = persistence::non_persistent;
    else if (word != name_of(persistence::persistent))
      return bad_topic(text, "its scheme is neither persistent nor non-persistent");
    rest = text.substr(scheme + 3);
  }
  if (scheme == std::string_view::npos && rest.find('/') == std::string_view::npos) {
    result.topic = rest;
  } else {
    const auto first = rest.find('/');
    const auto second = first == std::string_view::npos ? first : rest.find('/', first + 1);
    if (second == std::string_view::npos)
      return bad_topic(text, "it needs a tenant, a namespace and a topic");
    result.tenant = rest.substr(0, first);
    result.ns = rest.substr(first + 1, second - first - 1);
    result.topic = rest.substr(second + 1);
  }
  if (result.tenant.empty())
    return bad_topic(text, "its tenant is empty");
  if (result.ns.empty())
    return bad_topic(text, "its namespace is empty");
  if (result.topic.empty())
    return bad_topic(text, "its name is empty");
  return result;
}

registry_key make_registry_key(std::string tenant, std::string ns, std::string topic, key_options options) {
  return {std::move(options.component),
          topic_name{std::move(tenant), std::move(ns), std::move(topic), options.persistence}, std::move(options.name)};
}

registry_key producer_key(topic_name topic, std::string tree) {
  return {"producer", std::move(topic), std::move(tree)};
}

registry_key consumer_key(topic_name topic, std::string_view subscription, std::string tree) {
  return {"consumer/" + std::string{subscription}, std::move(topic), std::move(tree)};
}

registry_key reader_key(topic_name topic, std::string_view reader_name, std::string tree) {
  return {reader_name.empty() ? "reader" : "reader/" + std::string{reader_name}, std::move(topic), std::move(tree)};
}

std::string to_string(const registry_key& key) {
  using protocol::percent_encode;
  return percent_encode(key.component) + "/" + std::string{name_of(key.topic.persistence)} + "/"
         + percent_encode(key.topic.tenant) + "/" + percent_encode(key.topic.ns) + "/"
         + percent_encode(key.topic.topic);
}

caf::expected<registry_key> parse_registry_key(std::string_view text) {
  std::array<std::string, 5> parts;
  auto rest = text;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto slash = rest.find('/');
    const bool last = i + 1 == parts.size();
    const auto decoded = protocol::percent_decode(rest.substr(0, slash));
    if (last != (slash == std::string_view::npos) || !decoded || decoded->empty())
      return make_error(errc::invalid_topic, "'" + std::string{text} + "' is not a registry key of five encoded parts");
    parts[i] = *decoded;
    rest = last ? std::string_view{} : rest.substr(slash + 1);
  }
  registry_key result;
  if (parts[1] == name_of(persistence::non_persistent))
    result.topic.persistence = persistence::non_persistent;
  else if (parts[1] != name_of(persistence::persistent))
    return make_error(errc::invalid_topic,
                      "'" + std::string{text} + "' has neither persistent nor non-persistent as its second part");
  result.component = std::move(parts[0]);
  result.topic.tenant = std::move(parts[2]);
  result.topic.ns = std::move(parts[3]);
  result.topic.topic = std::move(parts[4]);
  return result;
}

} // namespace stargate
