// Runs scenarios on our registry and prints what each step answers, as oracle.exs does.   registry-scenario FILE
#include "test/deterministic.hpp"

#include <stargate/registry.hpp>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>

namespace {

using namespace stargate;
using namespace stargate::compat;
using list = std::vector<std::string>;

std::string joined(const list& words) {
  std::string text;
  for (const auto& w : words)
    text += (text.empty() ? "" : " ") + w;
  return text;
}

class scenario : public test::deterministic {
public:
  explicit scenario(registry_keys kind) {
    listener_ = system().spawn([this](caf::event_based_actor* self) -> caf::behavior {
      return behave(
        self, {},
        [this](const name_registered& m) {
          told_.push_back("+" + m.entry.name + ":" + label(m.entry.who) + ":" + value_of(m.entry.value));
        },
        [this](const name_unregistered& m) { told_.push_back("-" + m.name + ":" + labels_[m.who]); });
    });
    names_ = registry::spawn(system(), "r", {.keys = kind, .listeners = {listener_}});
    for (const auto* who : {"p0", "p1", "p2", "p3"})
      make(who);
  }
  ~scenario() {
    for (const auto& [who, actor] : actors_)
      send_exit(actor, caf::exit_reason::kill);
    send_exit(listener_, caf::exit_reason::kill);
    send_exit(names_.actor(), caf::exit_reason::kill);
    run();
  }

  void perform(const std::string& line) {
    std::istringstream words{line};
    std::string step, a, b, c;
    words >> step >> a >> b >> c;
    auto answer = answer_to(step, a, b, c);
    run();
    std::sort(told_.begin(), told_.end());
    for (const auto& event : std::exchange(told_, {}))
      answer += " " + event;
    std::cout << line << " -> " << answer << "\n";
  }

private:
  void make(const std::string& who) {
    auto actor = system().spawn([](caf::event_based_actor* self) -> caf::behavior { return behave(self, {}); });
    labels_[actor.address()] = who;
    actors_[who] = std::move(actor);
  }
  std::string label(const caf::actor& who) { return labels_[who.address()]; }
  static std::string value_of(const std::any& value) { return std::any_cast<std::string>(value); }
  std::string entries(const std::vector<registration>& all) {
    list words;
    for (const auto& e : all)
      words.push_back(label(e.who) + ":" + value_of(e.value));
    return joined(words);
  }

  std::string answer_to(const std::string& step, const std::string& a, const std::string& b, const std::string& c) {
    const auto& registry = names_.actor();
    if (step == "register") {
      const auto answer = answer_of<registered>(registry, register_name{b, actors_[a], {}, c});
      return answer ? "ok" : "held " + label(names_.whereis(b));
    }
    if (step == "unregister") {
      static_cast<void>(answer_of<registered>(registry, unregister_name{b, actors_[a]})); // Elixir does not say
      return "ok";
    }
    if (step == "lookup")
      return entries(names_.lookup(a));
    if (step == "keys")
      return joined(names_.keys(actors_[a]));
    if (step == "values") {
      list words;
      for (const auto& v : names_.values(b, actors_[a]))
        words.push_back(value_of(v));
      return joined(words);
    }
    if (step == "count")
      return std::to_string(names_.count());
    if (step == "select") {
      list words;
      for (const auto& e : names_.select().entries)
        words.push_back(e.name + ":" + label(e.who) + ":" + value_of(e.value));
      std::sort(words.begin(), words.end());
      return joined(words);
    }
    if (step == "dispatch") {
      std::string seen = "-";
      names_.dispatch(a, [&](const auto& all) { seen = entries(all); });
      return seen;
    }
    if (step == "update") {
      const auto before = names_.values(b, actors_[a]);
      const auto answer = answer_of<registered>(registry, update_value{b, actors_[a], c});
      return answer ? value_of(names_.values(b, actors_[a]).front()) + " " + value_of(before.front()) : "error";
    }
    if (step == "put_meta")
      return answer_of<registered>(registry, put_meta{a, b}) ? "ok" : "error";
    if (step == "meta") {
      const auto value = names_.meta(a);
      return value.has_value() ? value_of(value) : "-";
    }
    if (step == "kill") {
      send_exit(actors_[a], caf::exit_reason::kill);
      run();
      make(a);
      return "ok";
    }
    throw std::runtime_error{"no step: " + step};
  }

  caf::actor listener_;
  registry names_;
  std::map<std::string, caf::actor> actors_;
  std::map<caf::actor_addr, std::string> labels_;
  list told_;
};

} // namespace

int main(int argc, char** argv) {
  std::ifstream in{argc > 1 ? argv[1] : ""};
  if (!in) {
    std::cerr << "registry-scenario FILE\n";
    return 2;
  }
  std::optional<scenario> now;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("scenario ")) {
      now.emplace(line == "scenario unique" ? registry_keys::unique : registry_keys::duplicate);
      std::cout << line << "\n";
    } else if (now && !line.empty()) {
      now->perform(line);
    }
  }
}
