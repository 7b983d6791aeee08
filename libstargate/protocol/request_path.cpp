// What goes on the wire before the first frame: the paths of handshakes, and where things are.
#include "libstargate/protocol/option_table.hpp"
#include "libstargate/protocol/percent.hpp"

#include <string>
#include <string_view>
#include <utility>

namespace stargate::protocol {

namespace {

template <class Options>
void append_query(std::string& path, const Options& o) {
  for (char separator = path.find('?') == std::string::npos ? '?' : '&'; const auto& row : rows<Options>())
    if (const auto value = row.query(o)) {
      path.append(1, separator).append(row.parameter).append("=").append(percent_encode(*value));
      separator = '&';
    }
}

std::string topic_path(std::string_view endpoint, const topic_name& topic) {
  return "/ws/v2/" + std::string{endpoint} + "/" + std::string{stargate::name_of(topic.persistence)} + "/"
         + percent_encode(topic.tenant) + "/" + percent_encode(topic.ns) + "/" + percent_encode(topic.topic);
}

} // namespace

std::string request_path(const producer_options& o) {
  auto path = topic_path("producer", o.topic);
  append_query(path, o);
  return path;
}

std::string request_path(const consumer_options& o) {
  auto path = is_of_many_topics(o) ? "/ws/v3/consumer/" + percent_encode(o.subscription)
                                   : topic_path("consumer", o.topic) + "/" + percent_encode(o.subscription);
  append_query(path, o);
  return path;
}

std::string request_path(const reader_options& o) {
  auto path = topic_path("reader", o.topic);
  append_query(path, o);
  return path;
}

topic_name dead_letter_topic_of(const consumer_options& o) {
  if (o.dead_letter_topic)
    if (auto given = parse_topic(*o.dead_letter_topic))
      return std::move(*given);
  auto topic = registered_topic(o);
  topic.topic += "-" + o.subscription + "-DLQ";
  return topic;
}

topic_name dead_letter_topic_of(const reader_options& o) {
  auto given = parse_topic(o.dead_letter_topic.value_or(""));
  return given ? std::move(*given) : topic_name{};
}

topic_name registered_topic(const consumer_options& o) {
  if (!o.topics_pattern.empty()) {
    auto parsed = parse_topic(o.topics_pattern);
    return parsed ? std::move(*parsed) : topic_name{};
  }
  if (o.topics.empty())
    return o.topic;
  auto topic = o.topics.front();
  for (std::size_t i = 1; i < o.topics.size(); ++i)
    topic.topic += "," + o.topics[i].topic;
  return topic;
}

} // namespace stargate::protocol
