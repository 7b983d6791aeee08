#include <stargate/temporary.hpp>

#include "libstargate/protocol/option_table.hpp"
#include "libstargate/protocol/option_values.hpp"
#include "libstargate/protocol/percent.hpp"

#include <stargate/tree.hpp>

#include <array>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <string_view>
#include <thread>
#include <utility>

namespace stargate {

using namespace compat;

namespace {

using clock = std::chrono::steady_clock;

caf::error wrong_url(const std::string& url, std::string_view why) {
  // A query may hold a token, so it is not shown.
  return make_error(errc::invalid_url, "'" + url.substr(0, url.find('?')) + "': " + std::string{why}
                                         + "; write ws://host:port/ws/v2/producer/persistent/tenant/namespace/topic");
}

/// Reads a query into the options that its parameters stand for.
caf::error read_query(const std::string& url, std::string_view query, producer_options& producer, options& o) {
  while (!query.empty()) {
    const auto end = std::min(query.find('&'), query.size());
    const auto pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    const auto equals = std::min(pair.find('='), pair.size());
    const auto name = pair.substr(0, equals);
    const auto value = protocol::percent_decode(pair.substr(std::min(equals + 1, pair.size())));
    if (!value)
      return wrong_url(url, "a percent sign in the query is not followed by two digits");
    if (name == "token") {
      o.token = token_source::text(*value);
      continue;
    }
    bool known = false;
    for (const auto& row : protocol::rows<producer_options>())
      if (row.parameter == name && row.set) {
        known = true;
        if (!row.set(producer, *value))
          return wrong_url(url, std::string{name} + " is not " + row.type);
        break;
      }
    if (!known)
      return wrong_url(url, "there is no parameter '" + std::string{name} + "'");
  }
  return {};
}

/// A tree of one producer, from its URL.
caf::expected<options> description_of(const std::string& url, const temporary_options& with) {
  options o;
  o.name = "temporary-" + std::to_string(std::random_device{}()) + std::to_string(std::random_device{}());
  o.tls = with.tls;
  o.token = with.token;
  o.log = with.log;
  std::string_view rest = url;
  if (rest.starts_with("wss://"))
    o.scheme = url_scheme::wss;
  else if (!rest.starts_with("ws://"))
    return wrong_url(url, "the scheme is neither ws nor wss");
  rest.remove_prefix(rest.find("//") + 2);
  const auto slash = rest.find('/');
  if (slash == std::string_view::npos || !protocol::parse_value(rest.substr(0, slash), o.hosts.front()))
    return wrong_url(url, "there is no host, or no path");
  if (o.scheme == url_scheme::wss && rest.substr(0, slash).find(':') == std::string_view::npos)
    o.hosts.front().port = 8443;
  rest.remove_prefix(slash);
  const auto question = std::min(rest.find('?'), rest.size());
  auto path = rest.substr(0, question);
  constexpr std::string_view producers = "/ws/v2/producer/";
  const auto begins = path.find(producers);
  if (begins == std::string_view::npos)
    return wrong_url(url, "there is no /ws/v2/producer/ in the path");
  o.base_path = path.substr(0, begins);
  path.remove_prefix(begins + producers.size());
  std::array<std::string, 4> parts;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto end = i + 1 < parts.size() ? path.find('/') : path.size();
    const auto part = end == std::string_view::npos ? std::nullopt : protocol::percent_decode(path.substr(0, end));
    if (!part || part->empty())
      return wrong_url(url, "the path is not persistence, tenant, namespace and topic");
    parts[i] = *part;
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  if (parts[0] != "persistent" && parts[0] != "non-persistent")
    return wrong_url(url, "the topic is neither persistent nor non-persistent");
  producer_options producer;
  producer.send_timeout = with.send_timeout;
  producer.topic = {parts[1], parts[2], parts[3],
                    parts[0] == "persistent" ? persistence::persistent : persistence::non_persistent};
  if (auto wrong = read_query(url, rest.substr(std::min(question + 1, rest.size())), producer, o))
    return wrong;
  o.producers = {std::move(producer)};
  return o;
}

/// A tree of one producer, and that producer's key.
struct connected_tree {
  tree it;
  registry_key key;
};

/// One connection. Whoever comes while it is being made waits for it.
struct line {
  std::mutex making; ///< Held while the tree is started; guards `it`.
  std::optional<connected_tree> it;
  // Guarded by the mutex of the whole:
  std::size_t users = 0;
  clock::time_point last_use;
};

} // namespace

struct temporary_producers::inside {
  caf::actor_system& system;
  const temporary_options with;
  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::string, std::shared_ptr<line>> lines; ///< By URL.
  bool ending = false;
  std::thread closer; ///< Begun with the first line.

  inside(caf::actor_system& s, temporary_options o) : system{s}, with{std::move(o)} {}

  ~inside() {
    {
      const std::lock_guard guard{mutex};
      ending = true;
    }
    changed.notify_all();
    if (closer.joinable())
      closer.join();
    lines.clear(); // the last copy of a tree stops it
  }

  void close_unused() {
    std::unique_lock lock{mutex};
    while (!ending) {
      auto next = clock::time_point::max();
      std::vector<std::shared_ptr<line>> unused;
      for (auto i = lines.begin(); i != lines.end();) {
        const auto due = i->second->last_use + with.keep;
        if (i->second->users > 0) {
          ++i;
        } else if (due <= clock::now()) {
          unused.push_back(std::move(i->second));
          i = lines.erase(i);
        } else {
          next = std::min(next, due);
          ++i;
        }
      }
      if (!unused.empty()) {
        lock.unlock();
        unused.clear(); // stopping a tree takes a moment
        lock.lock();
      } else if (next == clock::time_point::max()) {
        changed.wait(lock);
      } else {
        changed.wait_until(lock, next);
      }
    }
  }

  std::vector<caf::expected<message_id>> produce(const std::string& url, std::vector<message> contents) {
    const auto used = take(url);
    std::vector<caf::expected<message_id>> answers(contents.size(), message_id{});
    // A handle of this call's own: another call may find the tree ended, and replace it.
    auto connected = connect(*used, url);
    const bool failed = !connected;
    if (failed)
      for (auto& answer : answers)
        answer = connected.error();
    else
      answers = connected->it.produce(connected->key, std::move(contents));
    give_back(url, used, failed);
    return answers;
  }

  std::shared_ptr<line> take(const std::string& url) {
    const std::lock_guard guard{mutex};
    if (!closer.joinable())
      closer = std::thread{[this] { close_unused(); }};
    auto& l = lines[url];
    if (!l)
      l = std::make_shared<line>();
    ++l->users;
    return l;
  }

  void give_back(const std::string& url, const std::shared_ptr<line>& l, bool failed) {
    {
      const std::lock_guard guard{mutex};
      --l->users;
      l->last_use = clock::now();
      if (failed) // it never came to be: the next call begins anew
        if (const auto i = lines.find(url); i != lines.end() && i->second == l && l->users == 0)
          lines.erase(i);
    }
    changed.notify_all();
  }

  caf::expected<connected_tree> connect(line& l, const std::string& url) const {
    const std::lock_guard guard{l.making};
    if (l.it && !has_ended(l.it->it.supervisor()))
      return *l.it;
    l.it.reset();
    auto description = description_of(url, with);
    if (!description)
      return description.error();
    const registry_key key{"producer", description->producers.front().topic, description->name};
    auto started = start(system, std::move(*description));
    if (!started)
      return started.error();
    if (auto why = started->wait_ready(with.send_timeout))
      return why;
    l.it = connected_tree{std::move(*started), key};
    return *l.it;
  }
};

temporary_producers::temporary_producers(caf::actor_system& system, temporary_options options)
  : inside_{std::make_unique<inside>(system, std::move(options))} {}

temporary_producers::~temporary_producers() = default;

caf::expected<message_id> temporary_producers::produce(const std::string& url, message content) {
  std::vector<message> one;
  one.push_back(std::move(content));
  return std::move(inside_->produce(url, std::move(one)).front());
}

std::vector<caf::expected<message_id>> temporary_producers::produce(const std::string& url,
                                                                    std::vector<message> contents) {
  return inside_->produce(url, std::move(contents));
}

std::size_t temporary_producers::size() const {
  const std::lock_guard guard{inside_->mutex};
  return inside_->lines.size();
}

caf::expected<message_id> produce(caf::actor_system& system, const std::string& url, message content,
                                  temporary_options options) {
  return temporary_producers{system, std::move(options)}.produce(url, std::move(content));
}

} // namespace stargate
