#include "simulation/world.hpp"

#include "actors/shared/roles.hpp"
#include "actors/shared/tree_context.hpp"

#include <algorithm>
#include <deque>
#include <iterator>
#include <utility>

namespace stargate::simulation {

using namespace compat;

void world::end_ongoing() {
  next_end_ = never;
  for (auto i = ongoing_.begin(); i != ongoing_.end();) {
    if (i->first > now_) {
      next_end_ = std::min(next_end_, i->first);
      ++i;
      continue;
    }
    const auto undo = std::move(i->second);
    i = ongoing_.erase(i);
    undo();
  }
}

void world::until(micros time, std::function<void()> undo) {
  ongoing_.emplace_back(time, std::move(undo));
  next_end_ = std::min(next_end_, time);
}

std::string world::state_of_wire(const wire& w) const {
  return w.client == side::connecting ? "connecting" : "connected";
}

void world::note(const fault& f, const std::string& role, const std::string& state, const pipeline_plan* hit) {
  ++result_.faults;
  struck_ = true;
  static const std::vector<std::string> nothing;
  covered_.add_fault(fault_names[static_cast<std::size_t>(f.kind)], role, state, hit == nullptr ? nothing : hit->drawn);
}

/// Whether the library can find out that the broker has forgotten it.
bool world::is_asked_for(const pipeline_plan& p) const {
  return p.role != pipeline_plan::producer && p.c.topics_pattern.empty();
}

const pipeline_plan* world::pipeline_of(const wire& w) const {
  for (const auto& p : s_.pipelines)
    if ((p.role == pipeline_plan::producer && w.role == "producer" && p.p.topic.topic == w.topic)
        || (p.role == pipeline_plan::reader && w.role == "reader" && p.r.topic.topic == w.topic)
        || (p.role == pipeline_plan::consumer && w.role == "consumer" && p.c.subscription == w.subscription))
      return &p;
  return nullptr;
}

const pipeline_plan* world::pipeline_of(const registry_key& key) const {
  // component[/subscription or name][/number], of `socket/subscription`
  for (const auto& p : s_.pipelines) {
    const auto socket = socket_key(p);
    if (socket.topic != key.topic)
      continue;
    const auto whose = socket.component.find('/');
    const bool is_reader = key.component.starts_with("reader");
    const bool is_producer = key.component.starts_with("producer");
    if (p.role == pipeline_plan::producer ? is_producer
        : is_producer || (p.role == pipeline_plan::reader) != is_reader
          ? false
          : whose == std::string::npos
              || (key.component + "/").find(socket.component.substr(whose) + "/") != std::string::npos)
      return &p;
  }
  return nullptr;
}

void world::strike(const fault& f) {
  say([&] { return "FAULT " + to_string(f); });
  if (f.kind >= fault_kind::kill)
    return strike_actor(f);
  switch (f.kind) {
    case fault_kind::crash:
      if (!broker_.up)
        return;
      note(f, "broker", "any");
      broker_.crash();
      return until(now_ + f.lasts, [this] {
        say("the broker is back");
        broker_.restart();
      });
    case fault_kind::host_down: {
      const auto host = s_.tree.hosts[f.which % s_.tree.hosts.size()].name;
      note(f, "broker", "any");
      broker_.lose_host(host);
      return until(now_ + f.lasts, [this, host] { net_->hosts_down.erase(host); });
    }
    case fault_kind::refuse_handshakes:
      note(f, "broker", "any");
      broker_.refusing = 0.7;
      if (f.which % 10 == 0)
        broker_.refusals = {401, 403, 404, 400, 503};
      return until(now_ + f.lasts, [this] { broker_.refusing = 0; });
    case fault_kind::silent_handshakes:
      note(f, "broker", "any");
      net_->silent_handshakes = 0.7;
      return until(now_ + f.lasts, [this] { net_->silent_handshakes = 0; });
    case fault_kind::error_receipts:
    case fault_kind::nameless_errors:
      note(f, "broker", "any");
      broker_.failing = 0.1;
      broker_.nameless = f.kind == fault_kind::nameless_errors ? 0.5 : 0;
      return until(now_ + f.lasts, [this] { broker_.failing = broker_.nameless = 0; });
    default: break;
  }
  std::vector<std::shared_ptr<wire>> victims;
  for (const auto& [id, w] : net_->wires())
    if (w->client != side::over && !w->cut)
      victims.push_back(w);
  if (victims.empty())
    return;
  // Those are looked for first that the fault can do something to, and now and then those that are still connecting,
  // which are few.
  const auto prefer = [&](const auto& which) {
    std::vector<std::shared_ptr<wire>> some;
    std::copy_if(victims.begin(), victims.end(), std::back_inserter(some), which);
    if (!some.empty())
      victims = std::move(some);
  };
  const auto has_frame = [](const std::deque<wire::event>& way) {
    return std::any_of(way.begin(), way.end(), [](const auto& e) { return e.what == wire::event::frame; });
  };
  if (f.kind == fault_kind::spoil_frame_up)
    prefer([&](const auto& v) { return has_frame(v->up); });
  else if (f.kind == fault_kind::spoil_frame_down || f.kind == fault_kind::duplicate_frame)
    prefer([&](const auto& v) { return has_frame(v->down); });
  if (f.kind == fault_kind::forget)
    prefer([&](const auto& v) { return pipeline_of(*v) != nullptr && is_asked_for(*pipeline_of(*v)); });
  else if (f.which / 7 % 3 == 0)
    prefer([](const auto& v) { return v->client == side::connecting && !v->role.empty(); });
  const auto w = victims[f.which % victims.size()];
  bool done = true;
  switch (f.kind) {
    case fault_kind::cut: net_->cut(*w, false); break;
    case fault_kind::half_open: net_->cut(*w, true); break;
    case fault_kind::stall: net_->stall(*w, f.lasts); break;
    case fault_kind::duplicate_frame: done = net_->duplicate(*w); break;
    case fault_kind::spoil_frame_down: done = net_->garble(*w, false); break;
    case fault_kind::spoil_frame_up: // a frame of a numbered producer would lose its number with it
      done = w->to.path.find("initialSequenceId") == std::string::npos && net_->garble(*w, true);
      if (done)
        broker_.refused_on.insert("persistent://public/default/" + w->topic);
      break;
    case fault_kind::forget:
      done = pipeline_of(*w) != nullptr && is_asked_for(*pipeline_of(*w)) && broker_.forget(*w);
      break;
    default: broker_.drop(*w);
  }
  if (done)
    note(f, w->role.empty() ? "new" : w->role, state_of_wire(*w), pipeline_of(*w));
}

std::string world::state_of_socket(const pipeline_plan* hit, const registry_key& key) const {
  std::string state = "waiting";
  for (const auto& [id, w] : net_->wires())
    if (hit != nullptr ? pipeline_of(*w) == hit : w->topic == key.topic.topic) {
      if (w->client == side::open && !w->closing)
        return "connected";
      state = w->client == side::connecting ? "connecting" : state;
    }
  return state;
}

void world::strike_actor(const fault& f) {
  const auto whom = f.whom == victim::reconciler && f.which % 2 == 1 ? victim::presence : f.whom;
  const std::string_view wanted = victim_names[static_cast<std::size_t>(whom)];
  std::vector<registration> victims;
  if (const auto names = names_of_tree())
    for (auto& r : names.select().entries) {
      const auto component = std::string_view{r.name}.substr(0, r.name.find_first_of("/%"));
      if (wanted.ends_with('_') ? std::string_view{r.name}.starts_with(wanted) : component == wanted)
        victims.push_back(std::move(r));
    }
  if (victims.empty())
    return;
  const auto& v = victims[f.which % victims.size()];
  std::string role = v.name.substr(0, v.name.find_first_of("/%"));
  const auto key = parse_registry_key(v.name);
  std::string state = stopping_ ? "stopping" : !tree_ ? "starting" : "running";
  const pipeline_plan* hit = nullptr;
  if (key) {
    hit = pipeline_of(*key);
    if (state == "running")
      state = state_of_socket(hit, *key);
  } else {
    role = std::string{wanted};
  }
  say([&] { return "victim " + v.name; });
  note(f, role, state, hit);
  // Who is asked to end, and does, has ended well: a transient child is not started again.
  if (f.kind == fault_kind::ask_to_end && (role.ends_with("_sup") || f.whom == victim::instance_sup))
    ended_.insert(v.name);
  switch (f.kind) {
    case fault_kind::kill: return send_exit(v.who, caf::exit_reason::kill);
    case fault_kind::ask_to_end: return send_exit(v.who, make_error(exit_code::shutdown, "simulated"));
    default: post(v.who, induced_crash{"simulated"});
  }
}

registry world::names_of_tree() const {
  const auto context = context_.lock();
  return context ? context->registry() : registry{};
}

} // namespace stargate::simulation
