#include "actors/shared/plan.hpp"

#include "actors/shared/roles.hpp"
#include "libstargate/protocol/option_table.hpp"
#include "libstargate/protocol/percent.hpp"

#include <algorithm>
#include <mutex>

namespace stargate::internal {

namespace {

std::vector<role_keys> all_keys(const pipelines& p) {
  std::vector<role_keys> keys;
  for (const auto& o : p.producers)
    keys.push_back(role_keys_of(o));
  for (const auto& o : p.consumers)
    keys.push_back(role_keys_of(o));
  for (const auto& o : p.readers)
    keys.push_back(role_keys_of(o));
  return keys;
}

pipelines everything(const plan::items& list) {
  pipelines all;
  for (const auto& i : list) {
    all.producers.insert(all.producers.end(), i->what.producers.begin(), i->what.producers.end());
    all.consumers.insert(all.consumers.end(), i->what.consumers.begin(), i->what.consumers.end());
    all.readers.insert(all.readers.end(), i->what.readers.begin(), i->what.readers.end());
  }
  return all;
}

/// One by one, as children of the supervisor of topics.
std::vector<pipelines> one_by_one(const pipelines& what) {
  std::vector<pipelines> result;
  for (const auto& o : what.producers)
    result.push_back({{o}, {}, {}});
  for (const auto& o : what.consumers)
    result.push_back({{}, {o}, {}});
  for (const auto& o : what.readers)
    result.push_back({{}, {}, {o}});
  return result;
}

/// The topics for dead letters that nobody described a producer of.
std::vector<topic_name> dead_letter_topics(const pipelines& all) {
  std::vector<topic_name> result;
  const auto add = [&](const auto& receiver) {
    if (receiver.on_failure != failure_action::dead_letter)
      return;
    const auto topic = protocol::dead_letter_topic_of(receiver);
    if (std::none_of(all.producers.begin(), all.producers.end(), [&](const auto& p) { return p.topic == topic; })
        && std::find(result.begin(), result.end(), topic) == result.end())
      result.push_back(topic);
  };
  for (const auto& c : all.consumers)
    add(c);
  for (const auto& r : all.readers)
    add(r);
  return result;
}

} // namespace

plan::plan(const options& with, pipelines first, std::map<std::string, pipeline_template> templates)
  : with_{with},
    templates_{std::move(templates)} {
  items list;
  for (auto& one : one_by_one(first))
    list.push_back(make_item(std::move(one), {}));
  static_cast<void>(check_and_take(std::move(list)));
  for (auto* those : {&described_, &needed_})
    for (auto& i : *those) {
      auto one = std::make_shared<item>(*i);
      one->is_first = true;
      i = std::move(one);
    }
}

std::shared_ptr<const plan::item> plan::make_item(pipelines what, std::optional<instance> made_of) {
  auto result = std::make_shared<item>();
  result->keys = all_keys(what);
  result->id = made_of ? instance_name(*made_of) : result->keys.front().supervisor();
  result->version = ++last_version_;
  result->what = std::move(what);
  result->made_of = std::move(made_of);
  return result;
}

plan::items plan::now() const {
  const std::shared_lock guard{mutex_};
  auto all = needed_;
  all.insert(all.end(), described_.begin(), described_.end());
  return all;
}

std::vector<std::string> plan::item::sockets() const {
  std::vector<std::string> result;
  for (const auto& k : keys)
    result.push_back(k.socket());
  return result;
}

std::vector<role_keys> plan::keys() const {
  std::vector<role_keys> result;
  for (const auto& i : now())
    result.insert(result.end(), i->keys.begin(), i->keys.end());
  return result;
}

/// Takes the next plan if there is no mistake in it.
caf::error plan::check_and_take(items next) {
  auto all = everything(next);
  auto o = with_;
  o.producers = all.producers;
  o.consumers = all.consumers;
  o.readers = all.readers;
  if (auto wrong = validate(o))
    return wrong;
  items needed;
  for (const auto& topic : dead_letter_topics(all)) {
    const auto is_it = [&](const auto& i) { return i->what.producers.front().topic == topic; };
    const auto old = std::find_if(needed_.begin(), needed_.end(), is_it);
    needed.push_back(old != needed_.end() ? *old : make_item({{{.topic = topic}}, {}, {}}, {}));
  }
  const auto before = std::exchange(producing_, {});
  const auto index = [&](const producer_options& p) {
    const auto old = before.find(p.topic);
    const bool same = old != before.end() && old->second->entrance.most() == p.max_pending
                      && old->second->send_timeout == p.send_timeout;
    auto entry =
      same ? old->second : std::make_shared<producing>(to_string(p.topic), p.send_timeout, p.max_pending, with_.log);
    producing_.emplace(p.topic, std::move(entry));
  };
  for (const auto& p : all.producers)
    index(p);
  for (const auto& i : needed)
    index(i->what.producers.front());
  described_ = std::move(next);
  needed_ = std::move(needed);
  return {};
}

caf::expected<plan::items> plan::add(const pipelines& what) {
  const std::lock_guard guard{mutex_};
  items added;
  for (auto& one : one_by_one(what))
    added.push_back(make_item(std::move(one), {}));
  auto next = described_;
  next.insert(next.end(), added.begin(), added.end());
  if (auto wrong = check_and_take(std::move(next)))
    return wrong;
  return added;
}

std::shared_ptr<const plan::item> plan::find(const instance& who) const {
  const auto i = std::find_if(described_.begin(), described_.end(), [&](const auto& x) { return x->made_of == who; });
  return i == described_.end() ? nullptr : *i;
}

caf::expected<plan::items> plan::add(const instance& who) {
  pipeline_template make;
  {
    const std::shared_lock guard{mutex_};
    const auto found = templates_.find(who.first);
    if (found == templates_.end() || !found->second)
      return make_error(errc::child_not_found, "the tree '" + with_.name + "' has no template '" + who.first + "'");
    make = found->second;
  }
  pipelines what;
  try { // without the lock: it is the application's own
    what = make(who.second);
  } catch (const std::exception& e) {
    return make_error(errc::start_failed,
                      "the template '" + who.first + "' threw for '" + who.second + "': " + e.what());
  } catch (...) {
    return make_error(errc::start_failed,
                      "the template '" + who.first + "' threw for '" + who.second + "' what is not a std::exception");
  }
  const std::lock_guard guard{mutex_};
  if (find(who))
    return make_error(errc::child_running, "'" + who.second + "' of the template '" + who.first + "' is in the tree");
  const items added{make_item(std::move(what), who)};
  auto next = described_;
  next.push_back(added.front());
  if (auto wrong = check_and_take(std::move(next)))
    return wrong;
  return added;
}

caf::expected<plan::items> plan::add(const child_spec& own, bool answers_vitals) {
  if (auto wrong = check(supervisor_options{.name = "the tree '" + with_.name + "'", .children = {own}}))
    return wrong;
  const std::lock_guard guard{mutex_};
  for (const auto* list : {&described_, &needed_})
    if (std::any_of(list->begin(), list->end(), [&](const auto& i) { return i->id == own.id; }))
      return make_error(errc::child_present, "'" + own.id + "' is a child of the tree '" + with_.name + "' already");
  auto one = std::make_shared<item>();
  one->id = own.id;
  one->version = ++last_version_;
  one->own = own;
  one->answers_vitals = answers_vitals;
  described_.push_back(one);
  return items{std::move(one)};
}

bool plan::remove_own(const child_id& id) {
  const std::lock_guard guard{mutex_};
  return std::erase_if(described_, [&](const auto& i) { return i->own && i->id == id; }) > 0;
}

plan::items plan::renew(const role_keys& who) {
  return replace(who, false);
}

plan::items plan::drain(const role_keys& who) {
  return replace(who, true);
}

plan::items plan::replace(const role_keys& who, bool is_drained) {
  const std::lock_guard guard{mutex_};
  for (auto* list : {&described_, &needed_})
    for (auto& i : *list)
      if (std::find(i->keys.begin(), i->keys.end(), who) != i->keys.end()) {
        if (i->is_drained && is_drained)
          return {i};
        auto next = std::make_shared<item>(*i);
        next->version = ++last_version_;
        next->is_drained = is_drained;
        next->is_first = false;
        i = std::move(next);
        return {i};
      }
  return {};
}

void plan::remove(const items& what) {
  const std::lock_guard guard{mutex_};
  auto next = described_;
  std::erase_if(next, [&](const auto& i) { return std::find(what.begin(), what.end(), i) != what.end(); });
  static_cast<void>(check_and_take(std::move(next)));
}

bool plan::remove(const role_keys& who) {
  const std::lock_guard guard{mutex_};
  auto next = described_;
  const auto found =
    std::erase_if(next, [&](const auto& i) { return !i->made_of && !i->own && i->keys.front() == who; }) > 0;
  if (found)
    static_cast<void>(check_and_take(std::move(next)));
  return found;
}

bool plan::remove(const instance& who) {
  const std::lock_guard guard{mutex_};
  const auto one = find(who);
  if (!one)
    return false;
  auto next = described_;
  std::erase(next, one);
  static_cast<void>(check_and_take(std::move(next)));
  return true;
}

void plan::clear() {
  items described, needed;
  std::map<std::string, pipeline_template> templates;
  const std::lock_guard guard{mutex_};
  std::swap(described, described_); // what they hold goes without the lock
  std::swap(needed, needed_);
  std::swap(templates, templates_);
}

std::shared_ptr<producing> plan::producing_to(const topic_name& topic) const {
  const std::shared_lock guard{mutex_};
  const auto found = producing_.find(topic);
  return found == producing_.end() ? nullptr : found->second;
}

std::size_t plan::topic_hash::operator()(const topic_name& t) const {
  auto result = static_cast<std::size_t>(t.persistence);
  for (const auto* part : {&t.tenant, &t.ns, &t.topic})
    result = result * 31 + std::hash<std::string>{}(*part);
  return result;
}

std::string instance_name(const plan::instance& who) {
  return "pipelines_" + protocol::percent_encode(who.first) + "_" + protocol::percent_encode(who.second);
}

} // namespace stargate::internal
