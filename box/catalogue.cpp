#include "box/catalogue.hpp"

#include <charconv>
#include <string_view>

namespace stargate::box {

namespace {

constexpr micros inactive = 60 * second; // brokerDeleteInactiveTopicsFrequencySeconds
constexpr std::string_view partition_mark = "-partition-";

std::int32_t partition_in(const std::string& name) {
  const auto at = name.rfind(partition_mark);
  std::int32_t number = -1;
  if (at != std::string::npos) {
    const auto* begin = name.data() + at + partition_mark.size();
    const auto [end, failure] = std::from_chars(begin, name.data() + name.size(), number);
    if (failure != std::errc{} || end != name.data() + name.size())
      return -1;
  }
  return number;
}

} // namespace

std::string namespace_of(const std::string& topic) {
  const auto name = parse_topic(topic);
  return name ? name->tenant + "/" + name->ns : std::string{};
}

catalogue::catalogue(timers& time_) : time{time_} {
  namespaces["public/default"];
  namespaces["pulsar/system"];
  remove_unused();
}

std::shared_ptr<topic> catalogue::open(const std::string& name, bool on_purpose) {
  if (auto found = find(name))
    return found;
  const auto place = parse_topic(name);
  if (!place)
    throw refusal{400, "Invalid query params: Invalid topic name: " + name};
  const auto ns = namespaces.find(namespace_of(name));
  if (ns == namespaces.end())
    throw refusal{404, "Namespace not found"};
  const auto partition = partition_in(place->topic);
  const auto base = partition < 0 ? std::string{} : name.substr(0, name.rfind(partition_mark));
  const auto count = partition < 0 ? 0 : partitions(base);
  const bool is_partition = count > 0 && static_cast<std::uint32_t>(partition) < count;
  if (!on_purpose && !is_partition && !ns->second.creates_topics.value_or(creates_topics))
    throw refusal{404, "Topic not found " + name};
  if (count > 0 && !is_partition)
    throw refusal::of_broker(500, "Illegal topic partition name " + name + " with max allowed " + std::to_string(count)
                                    + " partitions");
  auto made = std::make_shared<topic>(time, name, place->persistence == persistence::persistent, new_ledger());
  made->partition = partition;
  made->deduplicates = ns->second.deduplication.value_or(deduplicates);
  topics_.emplace(name, made);
  tell_watchers(name);
  return made;
}

void catalogue::tell_watchers(const std::string& name) {
  std::erase_if(watchers_, [](const auto& w) { return w.expired(); });
  for (const auto& w : std::vector{watchers_})
    if (const auto who = w.lock())
      time.after(0, who, [who = std::weak_ptr{who}, name] {
        if (const auto lives = who.lock())
          (*lives)(name);
      });
}

std::shared_ptr<topic> catalogue::find(const std::string& name) const {
  const auto found = topics_.find(name);
  return found == topics_.end() ? nullptr : found->second;
}

std::uint32_t catalogue::partitions(const std::string& name) const {
  const auto found = partitioned_.find(name);
  return found == partitioned_.end() ? 0 : found->second;
}

std::vector<std::string> catalogue::parts_of(const std::string& name) const {
  const auto count = partitions(name);
  if (count == 0)
    return {name};
  std::vector<std::string> parts;
  for (std::uint32_t i = 0; i < count; ++i)
    parts.push_back(name + std::string{partition_mark} + std::to_string(i));
  return parts;
}

void catalogue::set_partitions(const std::string& name, std::uint32_t count) {
  partitioned_[name] = count;
  for (const auto& part : parts_of(name))
    static_cast<void>(open(part, true));
}

void catalogue::remove(const std::string& name) {
  const auto found = topics_.find(name);
  if (found == topics_.end())
    return;
  const auto gone = found->second;
  topics_.erase(found);
  gone->unload(-1);
  for (const auto& s : std::map{gone->subscriptions()})
    gone->remove_subscription(s.first);
}

void catalogue::set_deduplication(const std::string& ns, std::optional<bool> on) {
  namespaces[ns].deduplication = on;
  for (const auto& [name, t] : topics_)
    if (namespace_of(name) == ns)
      t->deduplicates = on.value_or(deduplicates);
}

/// Topics on which nobody is and that no subscription holds, as a broker with its defaults does it.
void catalogue::remove_unused() {
  std::vector<std::string> unused;
  for (const auto& [name, t] : topics_)
    if (t->unused_since() != never && time.now - t->unused_since() >= inactive && t->partition < 0)
      unused.push_back(name);
  for (const auto& name : unused)
    topics_.erase(name);
  time.after(inactive, alive_, [this] { remove_unused(); });
}

} // namespace stargate::box
