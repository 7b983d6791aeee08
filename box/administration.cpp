#include "box/administration.hpp"

#include "libstargate/protocol/json.hpp"
#include "libstargate/protocol/percent.hpp"

#include <algorithm>
#include <charconv>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace stargate::box {

namespace {

constexpr std::string_view version = "4.0.0"; // what it behaves as
constexpr std::string_view cluster = "standalone";

struct request {
  catalogue& all;
  std::string method;
  std::vector<std::string> path; ///< Behind /admin/v2, decoded.
  std::string query;
  std::string body;

  [[nodiscard]] bool is(std::string_view what) const { return method == what; }
  [[nodiscard]] bool is_forced() const { return query.find("force=true") != std::string::npos; }
};

[[noreturn]] void refuse(int status, const std::string& reason) {
  throw refusal{status, reason};
}

[[noreturn]] void not_here(const request& r) {
  std::string path;
  for (const auto& part : r.path)
    path += "/" + part;
  refuse(404, "Not Found: this broker in a box does not do " + r.method + " " + path);
}

const answer done{204, "", "application/json"};
const answer not_allowed{405, "", "application/json"};

answer json(std::string text) {
  return {200, std::move(text)};
}

std::string quoted(std::string_view text) {
  std::string out;
  static_cast<void>(protocol::json::append_string(out, text));
  return out;
}

template <class Names>
std::string list(const Names& names) {
  std::string text;
  for (const auto& name : names)
    text += (text.empty() ? "" : ",") + quoted(name);
  return "[" + text + "]";
}

template <class Map>
std::vector<std::string> names_of(const Map& all) {
  std::vector<std::string> names;
  for (const auto& one : all)
    names.push_back(one.first);
  return names;
}

/// The texts in a list that is a member of an object.
std::vector<std::string> texts_in(const rapidjson::Document& d, const char* name) {
  std::vector<std::string> texts;
  if (!d.HasParseError() && d.IsObject() && d.HasMember(name) && d[name].IsArray())
    for (const auto& one : d[name].GetArray())
      texts.emplace_back(one.IsString() ? protocol::json::view(one) : std::string_view{});
  return texts;
}

std::optional<std::int64_t> number_in(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  return failure == std::errc{} && end == text.data() + text.size() ? std::optional{value} : std::nullopt;
}

// -- tenants and namespaces -----------------------------------------------------------

answer tenants(const request& r) {
  if (r.path.size() == 1)
    return r.is("GET") ? json(list(names_of(r.all.tenants))) : not_allowed;
  if (r.path.size() != 2)
    not_here(r);
  const auto& tenant = r.path[1];
  if (r.is("PUT")) {
    if (r.all.tenants.contains(tenant))
      refuse(409, "Tenant already exist");
    rapidjson::Document d;
    d.Parse<rapidjson::kParseIterativeFlag>(r.body.data(), r.body.size());
    for (const auto& one : texts_in(d, "allowedClusters"))
      if (one != cluster)
        refuse(412, "Clusters do not exist");
    const auto roles = texts_in(d, "adminRoles");
    r.all.tenants[tenant] = {roles.begin(), roles.end()};
    return done;
  }
  if (!r.all.tenants.contains(tenant))
    refuse(404, r.is("DELETE") ? "Tenant doesn't exist" : "Tenant does not exist");
  if (r.is("DELETE")) {
    if (std::any_of(r.all.namespaces.begin(), r.all.namespaces.end(),
                    [&](const auto& ns) { return ns.first.starts_with(tenant + "/"); }))
      refuse(409, "The tenant still has active namespaces");
    r.all.tenants.erase(tenant);
    return done;
  }
  if (!r.is("GET"))
    return not_allowed;
  return json(R"({"adminRoles":)" + list(r.all.tenants[tenant]) + R"(,"allowedClusters":["standalone"]})");
}

answer policies_of(const request& r, const std::string& ns) {
  const auto found = r.all.namespaces.find(ns);
  if (found == r.all.namespaces.end())
    refuse(404, "Namespace does not exist");
  auto& policies = found->second;
  const auto& what = r.path[3];
  if (what == "deduplication" && r.path.size() == 4) {
    if (r.is("GET"))
      return json(policies.deduplication ? (*policies.deduplication ? "true" : "false") : "");
    if (r.is("DELETE")) {
      r.all.set_deduplication(ns, std::nullopt);
      return done;
    }
    if (!r.is("POST"))
      return not_allowed;
    if (r.body != "true" && r.body != "false")
      return {400,
              "Unrecognized token '" + r.body
                + "': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')",
              "text/plain"};
    r.all.set_deduplication(ns, r.body == "true");
    return done;
  }
  if (what == "autoTopicCreation" && r.path.size() == 4) {
    if (r.is("GET"))
      return json(policies.creates_topics
                    ? std::string{R"({"allowAutoTopicCreation":)"} + (*policies.creates_topics ? "true}" : "false}")
                    : "");
    if (r.is("DELETE"))
      policies.creates_topics.reset();
    else if (r.is("POST"))
      policies.creates_topics = r.body.find("false") == std::string::npos;
    else
      return not_allowed;
    return done;
  }
  if (what != "permissions")
    not_here(r);
  if (r.path.size() == 4 && r.is("GET")) {
    std::string text;
    for (const auto& [role, actions] : policies.permissions)
      text += (text.empty() ? "" : ",") + quoted(role) + ":" + list(actions);
    return json("{" + text + "}");
  }
  if (r.path.size() != 5)
    not_here(r);
  if (r.is("POST")) {
    rapidjson::Document d;
    d.Parse<rapidjson::kParseIterativeFlag>(r.body.data(), r.body.size());
    if (d.HasParseError() || !d.IsArray())
      return {400, "not a list of actions", "text/plain"};
    std::vector<std::string> actions;
    for (const auto& one : d.GetArray())
      if (one.IsString())
        actions.emplace_back(protocol::json::view(one));
    policies.permissions[r.path[4]] = std::move(actions);
    return done;
  }
  if (!r.is("DELETE"))
    return not_allowed;
  policies.permissions.erase(r.path[4]);
  return done;
}

answer namespaces(const request& r) {
  if (r.path.size() < 2)
    not_here(r);
  const auto& tenant = r.path[1];
  if (r.path.size() == 2) {
    if (!r.is("GET"))
      return not_allowed;
    if (!r.all.tenants.contains(tenant))
      refuse(404, "Tenant not found");
    std::vector<std::string> names;
    for (const auto& [name, policies] : r.all.namespaces)
      if (name.starts_with(tenant + "/"))
        names.push_back(name);
    return json(list(names));
  }
  const auto ns = tenant + "/" + r.path[2];
  if (r.path.size() > 3)
    return policies_of(r, ns);
  const bool exists = r.all.namespaces.contains(ns);
  if (r.is("PUT")) {
    if (!r.all.tenants.contains(tenant))
      refuse(404, "Tenant does not exist");
    if (exists)
      refuse(409, "Namespace already exists");
    r.all.namespaces[ns];
    return done;
  }
  if (!exists)
    refuse(404, "Namespace " + ns + " does not exist.");
  if (r.is("DELETE")) {
    const auto within = [&](const auto& t) { return namespace_of(t.first) == ns; };
    const auto& topics = r.all.topics();
    if (std::any_of(topics.begin(), topics.end(), within) && !r.is_forced())
      refuse(409, "Cannot delete non empty namespace");
    for (const auto& t : std::map{topics})
      if (within(t))
        r.all.remove(t.first);
    r.all.namespaces.erase(ns);
    return done;
  }
  return r.is("GET") ? json("{}") : not_allowed;
}

// -- topics ---------------------------------------------------------------------------

std::string stats_of(const topic& t, const std::map<std::string, std::shared_ptr<subscription>>& subscriptions) {
  std::string publishers;
  for (const auto& [name, p] : t.publishers())
    publishers += (publishers.empty() ? "" : ",") + (R"({"producerName":)" + quoted(name)) + "}";
  std::string all;
  for (const auto& [name, s] : subscriptions) {
    std::string consumers;
    for (const auto* c : s->consumers())
      consumers += (consumers.empty() ? "" : ",") + (R"({"consumerName":)" + quoted(c->name))
                   + R"(,"availablePermits":)" + std::to_string(c->permits) + R"(,"unackedMessages":)"
                   + std::to_string(c->pending.size()) + "}";
    all += (all.empty() ? "" : ",") + quoted(name) + R"(:{"msgBacklog":)" + std::to_string(s->backlog())
           + R"(,"unackedMessages":)" + std::to_string(s->unacknowledged())
           + (s->type ? R"(,"type":")" + std::string{name_of(*s->type)} + '"' : std::string{}) + R"(,"durable":)"
           + (s->is_durable ? "true" : "false") + R"(,"consumers":[)" + consumers + "]}";
  }
  return R"({"msgInCounter":)" + std::to_string(t.messages_in()) + R"(,"publishers":[)" + publishers
         + R"(],"subscriptions":{)" + all + "}}";
}

class topic_requests {
public:
  explicit topic_requests(const request& r)
    : r_{r},
      all_{r.all},
      name_{r.path[0] + "://" + r.path[1] + "/" + r.path[2] + "/" + r.path[3]},
      namespace_{r.path[1] + "/" + r.path[2]} {}

  answer answer_it() {
    if (r_.path.size() == 4)
      return r_.is("PUT") ? create() : r_.is("DELETE") ? remove() : not_allowed;
    const auto& what = r_.path[4];
    if (what == "partitions" && r_.path.size() == 5)
      return partitions();
    if (what == "stats" && r_.is("GET"))
      return stats();
    if (what == "partitioned-stats" && r_.is("GET"))
      return partitioned_stats();
    if (what == "subscriptions" && r_.is("GET"))
      return subscriptions();
    if (what == "terminate" && r_.is("POST"))
      return terminate();
    if (what == "unload" && r_.is("PUT"))
      return unload();
    if (what == "subscription" && r_.path.size() >= 6)
      return of_subscription();
    not_here(r_);
  }

private:
  [[nodiscard]] bool exists() const { return all_.find(name_) || all_.partitions(name_) > 0; }

  void must_exist() const {
    if (!all_.namespaces.contains(namespace_))
      refuse(404, "Namespace not found");
    if (!exists())
      refuse(404, "Topic " + name_ + " not found");
  }

  std::vector<std::shared_ptr<topic>> parts() {
    must_exist();
    std::vector<std::shared_ptr<topic>> found;
    for (const auto& part : all_.parts_of(name_))
      found.push_back(all_.open(part));
    return found;
  }

  void must_be_new() const {
    if (!all_.namespaces.contains(namespace_))
      refuse(404, "Namespace not found");
    if (exists())
      refuse(409, "This topic already exists");
  }

  answer create() {
    must_be_new();
    static_cast<void>(all_.open(name_, true));
    return done;
  }

  answer remove() {
    must_exist();
    std::size_t users = 0;
    const auto found = parts();
    for (const auto& t : found) {
      users += t->publishers().size();
      for (const auto& [name, s] : t->subscriptions())
        users += s->consumers().size();
    }
    if (users > 0 && !r_.is_forced())
      refuse(412, "Topic has " + std::to_string(users) + " connected producers/consumers");
    all_.remove_partitions(name_);
    for (const auto& t : found)
      all_.remove(t->name);
    return done;
  }

  answer partitions() {
    if (r_.is("PUT")) {
      must_be_new();
      const auto count = number_in(r_.body);
      if (!count || *count < 1 || *count > 1000)
        refuse(406, "Number of partitions should be greater than 0");
      all_.set_partitions(name_, static_cast<std::uint32_t>(*count));
      return done;
    }
    if (r_.is("DELETE"))
      return remove();
    if (r_.is("POST"))
      return add_partitions();
    if (!r_.is("GET"))
      not_here(r_);
    must_exist();
    return json(R"({"partitions":)" + std::to_string(all_.partitions(name_)) + R"(,"deleted":false})");
  }

  answer add_partitions() {
    must_exist();
    const auto count = number_in(r_.body);
    const auto now = all_.partitions(name_);
    if (!count || *count < 1 || *count > 1000 || now == 0)
      refuse(409, "Topic " + name_ + " is not a partitioned topic, or that is no number of partitions");
    if (*count < now)
      refuse(422, "Desired partitions " + std::to_string(*count) + " can't be less than the current partitions "
                    + std::to_string(now) + ".");
    all_.set_partitions(name_, static_cast<std::uint32_t>(*count));
    return done;
  }

  answer stats() {
    must_exist();
    const auto t = all_.find(name_);
    if (!t)
      refuse(404, "Topic " + name_ + " not found"); // its partitions have some
    return json(stats_of(*t, t->subscriptions()));
  }

  answer partitioned_stats() {
    must_exist();
    if (all_.partitions(name_) == 0)
      refuse(404, "Partitioned Topic not found: " + name_ + " has zero partitions");
    std::string text;
    std::size_t messages = 0;
    std::map<std::string, std::size_t> backlog;
    for (const auto& t : parts()) {
      text += (text.empty() ? "" : ",") + quoted(t->name) + ":" + stats_of(*t, t->subscriptions());
      messages += t->messages_in();
      for (const auto& [name, s] : t->subscriptions())
        backlog[name] += s->backlog();
    }
    std::string all;
    for (const auto& [name, count] : backlog)
      all += (all.empty() ? "" : ",") + quoted(name) + R"(:{"msgBacklog":)" + std::to_string(count) + "}";
    return json(R"({"metadata":{"partitions":)" + std::to_string(all_.partitions(name_))
                + R"(,"deleted":false},"msgInCounter":)" + std::to_string(messages) + R"(,"subscriptions":{)" + all
                + R"(},"partitions":{)" + text + "}}");
  }

  answer subscriptions() {
    std::vector<std::string> names;
    for (const auto& t : parts())
      for (const auto& [name, s] : t->subscriptions())
        if (std::find(names.begin(), names.end(), name) == names.end())
          names.push_back(name);
    return json(list(names));
  }

  answer terminate() {
    const bool all_parts = r_.path.size() == 6 && r_.path[5] == "partitions";
    if (r_.path.size() > 5 && !all_parts)
      not_here(r_);
    const auto found = parts();
    if (!name_.starts_with("persistent"))
      refuse(405, "Cannot terminate a non-persistent topic");
    if (!all_parts && all_.partitions(name_) > 0)
      refuse(405, "Termination of a partitioned topic is not allowed");
    std::string text;
    for (std::size_t i = 0; i < found.size(); ++i) {
      found[i]->terminate();
      const auto last = found[i]->last();
      const auto id = R"({"ledgerId":)" + std::to_string(last.ledger) + R"(,"entryId":)" + std::to_string(last.entry)
                      + R"(,"partitionIndex":-1,"batchIndex":-1,"batchSize":0})";
      text += all_parts ? (text.empty() ? "" : ",") + ('"' + std::to_string(i) + "\":") + id : id;
    }
    return json(all_parts ? "{" + text + "}" : text);
  }

  answer unload() {
    for (const auto& t : parts())
      t->unload(all_.new_ledger());
    return done;
  }

  answer of_subscription() {
    const auto& subscription_name = r_.path[5];
    const auto found = parts();
    if (r_.path.size() == 6 && r_.is("PUT")) {
      for (const auto& t : found)
        if (t->find(subscription_name))
          refuse(409, "Subscription already exists for topic");
      for (const auto& t : found)
        t->subscribe(subscription_name, true, r_.body.find("earliest") != std::string::npos ? t->begin() : t->end());
      return done;
    }
    for (const auto& t : found)
      if (!t->find(subscription_name))
        refuse(404, "Subscription " + subscription_name + " not found for topic " + name_);
    if (r_.path.size() == 6 && r_.is("DELETE")) {
      for (const auto& t : found)
        if (!t->find(subscription_name)->consumers().empty() && !r_.is_forced())
          refuse(412, "Subscription has active connected consumers");
      for (const auto& t : found)
        t->remove_subscription(subscription_name);
      return done;
    }
    if (r_.path.size() < 7 || !r_.is("POST"))
      not_here(r_);
    const auto& what = r_.path[6];
    if (what == "skip_all") {
      for (const auto& t : found)
        t->find(subscription_name)->skip(t->end());
      return done;
    }
    if (what == "skip" && r_.path.size() == 8) {
      const auto count = number_in(r_.path[7]);
      if (!count || *count < 0)
        not_here(r_);
      if (all_.partitions(name_) > 0)
        refuse(405, "Skip messages on a partitioned topic is not allowed");
      found.front()->find(subscription_name)->skip(static_cast<std::size_t>(*count));
      return done;
    }
    if (what == "resetcursor")
      return reset(found, subscription_name);
    not_here(r_);
  }

  answer reset(const std::vector<std::shared_ptr<topic>>& found, const std::string& subscription_name) {
    if (r_.path.size() == 8) {
      const auto time = number_in(r_.path[7]);
      if (!time)
        not_here(r_);
      for (const auto& t : found)
        t->find(subscription_name)->reset(t->index_of_time(*time));
      return done;
    }
    rapidjson::Document d;
    d.Parse<rapidjson::kParseIterativeFlag>(r_.body.data(), r_.body.size());
    const auto number = [&](const char* name) {
      if (d.HasParseError() || !d.IsObject() || !d.HasMember(name) || !d[name].IsInt64())
        refuse(400, std::string{name} + " is missing");
      return d[name].GetInt64();
    };
    const position to{number("ledgerId"), number("entryId")};
    for (const auto& t : found)
      t->find(subscription_name)->reset(t->index_of(to));
    return done;
  }

  const request& r_;
  catalogue& all_;
  const std::string name_;
  const std::string namespace_;
};

answer topics(const request& r) {
  if (r.path.size() == 3) {
    if (!r.is("GET"))
      return not_allowed;
    const auto ns = r.path[1] + "/" + r.path[2];
    if (!r.all.namespaces.contains(ns))
      refuse(404, "Namespace not found");
    std::vector<std::string> names;
    for (const auto& [name, t] : r.all.topics())
      if (namespace_of(name) == ns && t->is_persistent == (r.path[0] == "persistent"))
        names.push_back(name);
    return json(list(names));
  }
  if (r.path.size() < 4)
    not_here(r);
  if (r.path.size() == 4 && r.path[3] == "partitioned" && r.is("GET")) {
    std::vector<std::string> names;
    for (const auto& [name, count] : r.all.partitioned())
      if (namespace_of(name) == r.path[1] + "/" + r.path[2])
        names.push_back(name);
    return json(list(names));
  }
  return topic_requests{r}.answer_it();
}

answer route(const request& r) {
  const auto& what = r.path.front();
  if (what == "brokers" && r.path.size() == 2 && r.is("GET")) {
    if (r.path[1] == "health")
      return {200, "ok", "text/plain"};
    if (r.path[1] == "version")
      return json(std::string{version});
  }
  if (what == "clusters" && r.path.size() == 1 && r.is("GET"))
    return json(list(std::vector{cluster}));
  if (what == "tenants")
    return tenants(r);
  if (what == "namespaces")
    return namespaces(r);
  if (what == "persistent" || what == "non-persistent")
    return topics(r);
  not_here(r);
}

} // namespace

answer administer(catalogue& all, std::string_view method, std::string_view target, std::string_view body,
                  const path_check& check) {
  constexpr std::string_view prefix = "/admin/v2/";
  if (!target.starts_with(prefix))
    return error_page(404, "Not Found", target);
  const auto question = std::min(target.find('?'), target.size());
  request r{all, std::string{method}, {}, std::string{target.substr(question)}, std::string{body}};
  const auto path = target.substr(prefix.size(), question - prefix.size());
  for (std::size_t at = 0; at <= path.size();) {
    const auto end = std::min(path.find('/', at), path.size());
    const auto part = std::string{path.substr(at, end - at)};
    r.path.push_back(protocol::percent_decode(part).value_or(part));
    at = end + 1;
  }
  try {
    if (check)
      check(r.path);
    return route(r);
  } catch (const refusal& why) {
    std::string phrase = why.what(); // Pulsar shows it there, too
    std::erase_if(phrase, [](unsigned char c) { return c < ' ' || c > '~'; });
    return {why.status, R"({"reason":)" + quoted(why.what()) + "}", "application/json", std::move(phrase)};
  }
}

} // namespace stargate::box
