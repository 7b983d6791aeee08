// Runs scenarios on our supervisor and prints their traces, in the form in which `oracle` prints Erlang's.
//
//     otp-scenario FILE…
//
// integration/otp/README.md describes both forms. Time is virtual: a scenario takes as long as it computes.
#include "test/deterministic.hpp"

#include <stargate/supervisor.hpp>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <map>
#include <set>
#include <sstream>

using namespace stargate;
using namespace stargate::compat;
using namespace std::chrono_literals;
using std::string;
using std::vector;

namespace {

using settings = std::map<string, string>;

/// What the scenario says of one supervisor or worker.
struct description {
  bool is_supervisor = false;
  settings set;
  vector<string> children; ///< Of a supervisor: their paths, in order.
  [[nodiscard]] string get(const string& key, const string& otherwise) const {
    const auto i = set.find(key);
    return i == set.end() ? otherwise : i->second;
  }
};

string parent_of(const string& path) {
  const auto slash = path.rfind('/');
  return slash == string::npos ? "" : path.substr(0, slash);
}
string last_part(const string& path) {
  return path.substr(path.rfind('/') + 1);
}

settings read_settings(std::istream& words) {
  settings result;
  for (string word; words >> word;) {
    const auto equals = word.find('=');
    if (equals == string::npos)
      throw std::runtime_error{"'" + word + "' is not KEY=VALUE"};
    result[word.substr(0, equals)] = word.substr(equals + 1);
  }
  return result;
}

caf::error reason_of(const string& word) {
  if (word == "normal")
    return {};
  if (word == "shutdown")
    return make_error(exit_code::shutdown, "");
  if (word == "{shutdown,bye}")
    return make_error(exit_code::shutdown, "bye");
  if (word == "crash")
    return make_error(errc::handler_failed, "crash");
  throw std::runtime_error{"unknown reason '" + word + "'"};
}

string name_of_reason(const caf::error& why) {
  if (!why)
    return "normal";
  if (why == caf::exit_reason::kill || (is_of<exit_code>(why) && !is_normal_exit(why)))
    return "killed"; // a supervisor whose parent was killed ends with exit_code::owner_down
  if (is_normal_exit(why))
    return context_of(why) == "bye" ? "{shutdown,bye}" : "shutdown";
  return code_of(why) == errc::invalid_child_spec ? "bad_spec" : "crash";
}

restart restart_of(const string& word) {
  return word == "transient" ? restart::transient : word == "temporary" ? restart::temporary : restart::permanent;
}

std::optional<shutdown> shutdown_of(const string& word) {
  if (word.empty())
    return std::nullopt;
  if (word == "brutal_kill")
    return shutdown::brutal_kill();
  if (word == "infinity")
    return shutdown::infinity();
  return shutdown{std::chrono::milliseconds{std::stoi(word)}};
}

class run {
public:
  explicit run(std::ostream& out) : out_{out} {}

  void read(std::istream& file) {
    vector<string> steps;
    for (string line; std::getline(file, line);) {
      std::istringstream words{line};
      string verb;
      if (!(words >> verb) || verb.front() == '#')
        continue;
      if (verb == "supervisor" || verb == "worker") {
        string path;
        words >> path;
        describe_child(path, verb == "supervisor", read_settings(words));
      } else {
        steps.push_back(line);
      }
    }
    begin();
    for (const auto& step : steps)
      perform(step);
  }

private:
  // -- what is to be run

  void describe_child(const string& path, bool is_supervisor, settings set) {
    all_[path] = {is_supervisor, std::move(set), {}};
    if (const auto parent = parent_of(path); !parent.empty())
      all_.at(parent).children.push_back(path);
  }

  supervisor_options options_of(const string& path) {
    const auto& d = all_.at(path);
    supervisor_options o;
    o.name = path;
    const auto how = d.get("strategy", "one_for_one");
    o.strategy = how == "one_for_all"          ? strategy::one_for_all
                 : how == "rest_for_one"       ? strategy::rest_for_one
                 : how == "simple_one_for_one" ? strategy::simple_one_for_one
                                               : strategy::one_for_one;
    o.intensity = static_cast<std::uint32_t>(std::stoul(d.get("intensity", "1")));
    o.period = std::chrono::seconds{std::stoi(d.get("period", "5"))};
    const auto ends = d.get("auto_shutdown", "never");
    o.auto_shutdown = ends == "any_significant"   ? auto_shutdown::any_significant
                      : ends == "all_significant" ? auto_shutdown::all_significant
                                                  : auto_shutdown::never;
    o.log = [](log_level, std::string_view, std::string_view) {};
    for (const auto& child : d.children)
      o.children.push_back(spec_of(child));
    return o;
  }

  child_spec spec_of(const string& path) {
    const auto& d = all_.at(path);
    child_spec spec;
    spec.id = last_part(path);
    spec.restart = restart_of(d.get("restart", "permanent"));
    spec.shutdown = shutdown_of(d.get("shutdown", ""));
    spec.significant = d.get("significant", "false") == "true";
    spec.type = d.is_supervisor ? child_type::supervisor : child_type::worker;
    if (d.is_supervisor)
      spec.start_timeout = 600s;
    spec.start = [this, path](const start_context& context) { return start(path, context); };
    return spec;
  }

  caf::expected<caf::actor> start(string path, const start_context& context) {
    const auto* instance = std::any_cast<string>(&context.argument);
    const auto model = path;
    if (instance != nullptr)
      path = parent_of(path) + "/" + *instance;
    const auto group = group_of(parent_of(path));
    if (auto& next = failures_[path]; next.count > 0) {
      --next.count;
      if (next.how == "ignore") {
        note(group, "ignore " + path);
        return caf::actor{};
      }
      note(group, "fail " + path);
      if (next.how == "throw")
        throw std::runtime_error{"thrown"};
      return make_error(errc::start_failed, "no luck");
    }
    note(group, "start " + path);
    caf::actor who;
    if (all_.at(model).is_supervisor) {
      ++incarnations_[path];
      who = spawn_supervisor(context.system, options_of(path), context.supervisor);
    } else {
      who = context.system.spawn([how = all_.at(model).get("stops", "obeys")](caf::event_based_actor* self) {
        signal_handlers signals;
        signals.exit = [self, how](const caf::actor_addr&, const caf::error& why) {
          if (how != "ignores")
            self->quit(how == "crashes" ? reason_of("crash") : why);
        };
        return behave(self, std::move(signals), [self](const caf::error& why) { self->quit(why); });
      });
    }
    watch(path, group, who);
    return who;
  }

  void watch(const string& path, const string& group, const caf::actor& who) {
    living_[path] = who;
    who->attach_functor([this, path, group, address = who.address()](const caf::error& why) {
      note(group, "stop " + path + " " + name_of_reason(why));
      if (const auto i = living_.find(path); i != living_.end() && i->second.address() == address)
        living_.erase(i);
    });
  }

  /// Events are kept for each incarnation of a supervisor: between supervisors they have no order.
  string group_of(const string& supervisor) {
    return supervisor.empty() ? "-" : supervisor + "#" + std::to_string(incarnations_[supervisor]);
  }
  void note(const string& group, const string& event) { events_[group].push_back(event); }

  // -- running it

  void begin() {
    // Restarts are counted in whole seconds, so we begin a little behind the beginning of one.
    const auto now = d_.self()->clock().now().time_since_epoch();
    d_.advance(std::chrono::ceil<std::chrono::milliseconds>(1s - now % 1s) + 50ms);
    note("-", "start root");
    ++incarnations_["root"];
    const auto root = spawn_supervisor(d_.system(), options_of("root"));
    watch("root", "-", root);
    settle();
    print("begin", "");
  }

  /// Runs until nothing is left to do, letting time pass as long as somebody is waited for.
  void settle() {
    d_.run();
    for (int i = 0; i < 10'000 && is_anything_pending(); ++i)
      d_.advance(2ms);
  }

  bool is_anything_pending() {
    const auto copy = living_;
    for (const auto& [path, who] : copy) {
      const auto d = all_.find(path);
      if (d == all_.end() || !d->second.is_supervisor)
        continue;
      const auto now = d_.answer_of<children>(who, which_children{});
      if (now && std::any_of(now->list.begin(), now->list.end(), [](const child_info& c) {
            return c.state != child_state::running && c.state != child_state::stopped;
          }))
        return true;
    }
    return false;
  }

  /// Gives the text of an answer, once everything has come to rest.
  using later = std::function<string()>;

  template <class Answer, class Question>
  later ask_for(const caf::actor& whom, Question question) {
    auto pending = std::make_shared<decltype(request(d_.self().ptr(), whom, 1h, std::move(question)))>(
      request(d_.self().ptr(), whom, 1h, std::move(question)));
    return [this, pending] {
      string text;
      std::move(*pending).receive([&](Answer& a) { text = text_of(a); },
                                  [&](caf::error& e) { text = name_of_answer(e); });
      return text;
    };
  }

  template <class Answer, class Question>
  string ask(const caf::actor& whom, Question question) {
    const auto answer = ask_for<Answer>(whom, std::move(question));
    settle();
    return answer();
  }

  static string text_of(const found_child&) { return "ok"; }
  static string text_of(const child_done&) { return "ok"; }
  static string text_of(const supervisor_changed&) { return "ok"; }
  string text_of(const children& c) {
    vector<string> lines;
    for (const auto& child : c.list)
      lines.push_back(name_of_child(child) + ":"
                      + (child.state == child_state::restarting ? "restarting"
                         : child.who                            ? "running"
                                                                : "undefined")
                      + ":" + (child.type == child_type::supervisor ? "supervisor" : "worker"));
    if (!c.list.empty() && c.list.front().id.find('#') != string::npos)
      std::sort(lines.begin(), lines.end());
    string text;
    for (const auto& line : lines)
      text += (text.empty() ? "" : " ") + line;
    return text;
  }
  string name_of_child(const child_info& child) {
    if (child.id.find('#') == string::npos)
      return child.id;
    for (const auto& [path, who] : living_)
      if (who == child.who)
        return last_part(path);
    return "?";
  }
  static string text_of(const child_counts& c) {
    return "specs=" + std::to_string(c.specs) + " active=" + std::to_string(c.active)
           + " supervisors=" + std::to_string(c.supervisors) + " workers=" + std::to_string(c.workers);
  }
  static string text_of(const child_spec& s) {
    const auto how = s.shutdown.value_or(s.type == child_type::supervisor ? shutdown::infinity() : shutdown{5000ms});
    return string{"restart="}
           + (s.restart == restart::permanent   ? "permanent"
              : s.restart == restart::transient ? "transient"
                                                : "temporary")
           + " shutdown="
           + (how.kills()            ? "brutal_kill"
              : how.waits_for_ever() ? "infinity"
                                     : std::to_string(how.timeout().count()))
           + " type=" + (s.type == child_type::supervisor ? "supervisor" : "worker")
           + " significant=" + (s.significant ? "true" : "false");
  }

  static string name_of_answer(const caf::error& e) {
    if (is_receiver_down(e))
      return "noproc";
    switch (code_of(e)) {
      case errc::stopping: return "noproc";
      case errc::child_not_found: return "error not_found";
      case errc::child_present: return "error already_present";
      case errc::child_running: return "error running";
      case errc::child_restarting: return "error restarting";
      case errc::invalid_child_spec: return "error bad_spec";
      case errc::simple_one_for_one: return "error simple_one_for_one";
      case errc::start_failed: return "error start_failed";
      default: return "error " + describe(e);
    }
  }

  void perform(const string& step) {
    if (step.find(" ; ") != string::npos)
      return burst(step);
    std::istringstream words{step};
    string verb, path, name;
    words >> verb;
    if (verb == "advance") {
      int time = 0;
      words >> time;
      d_.advance(std::chrono::milliseconds{time});
      settle();
      return print(step, "");
    }
    words >> path;
    if (verb == "fail") {
      failure f;
      words >> f.count >> f.how;
      failures_[path] = f;
      return print(step, "");
    }
    if (living_.count(path) == 0)
      return print(step, "noproc");
    const auto who = living_.at(path);
    print(step, answer(verb, path, who, words));
  }

  string answer(const string& verb, const string& path, const caf::actor& who, std::istream& words) {
    string name;
    if (verb == "exit") {
      words >> name;
      post(who, reason_of(name));
      return settle(), "";
    }
    if (verb == "kill") {
      if (all_.count(path) != 0 && all_.at(path).is_supervisor)
        killed_.insert(group_of(path));
      send_exit(who, caf::exit_reason::kill);
      return settle(), "";
    }
    if (verb == "stop") {
      words >> name;
      send_exit(who, reason_of(name));
      return settle(), "";
    }
    if (verb == "which")
      return ask<children>(who, which_children{});
    const auto text = begin_request(verb, path, who, living_, words);
    settle();
    return text();
  }

  /// Sends a request, and gives what will be its answer.
  /// @param living those whom the scenario names: at the beginning of its burst
  later begin_request(const string& verb, const string& path, const caf::actor& who,
                      const std::map<string, caf::actor>& living, std::istream& words) {
    if (verb == "count")
      return ask_for<child_counts>(who, count_children{});
    if (verb == "change")
      return change(path, who, read_settings(words));
    string name;
    words >> name;
    const auto child = path + "/" + name;
    if (verb == "terminate" && is_simple(path)) {
      const auto i = living.find(child);
      return i == living.end() ? [] { return string{"noproc"}; }
                               : ask_for<child_done>(who, terminate_dynamic_child{i->second});
    }
    if (verb == "terminate" || verb == "terminate_id")
      return ask_for<child_done>(who, terminate_child{name});
    if (verb == "restart")
      return ask_for<found_child>(who, restart_child{name});
    if (verb == "delete")
      return ask_for<child_done>(who, delete_child{name});
    if (verb == "get")
      return ask_for<child_spec>(who, get_child_spec{name});
    if (verb == "start_dynamic")
      return ask_for<found_child>(who, start_dynamic_child{name});
    if (verb == "start_worker" || verb == "start_supervisor") {
      const auto before = all_.find(child) == all_.end() ? std::nullopt : std::optional{all_.at(child)};
      all_[child] = {verb == "start_supervisor", read_settings(words), {}};
      return [this, child, before, answer = ask_for<found_child>(who, start_child{spec_of(child)})] {
        auto text = answer();
        if (before && (text == "error running" || text == "error already_present" || text == "error bad_spec"))
          all_[child] = *before; // the specification was not taken
        return text == "error running" ? "error already_started" : text;
      };
    }
    throw std::runtime_error{"unknown step '" + verb + "'"};
  }

  /// `step ; step ; …`: their supervisor sees nothing until all of it has come.
  void burst(const string& line) {
    vector<string> parts;
    for (std::size_t from = 0; from != string::npos;) {
      const auto to = line.find(" ; ", from);
      parts.push_back(line.substr(from, to == string::npos ? to : to - from));
      from = to == string::npos ? to : to + 3;
    }
    string target;
    for (const auto& part : parts) {
      std::istringstream words{part};
      string verb, path;
      words >> verb >> path;
      target = verb == "exit" || verb == "kill" || verb == "fail" ? parent_of(path) : path;
      if (verb != "fail")
        break;
    }
    const auto living = living_;
    const auto i = living.find(target);
    if (i == living.end())
      return print(line, "noproc");
    vector<later> answers;
    for (const auto& part : parts)
      answers.push_back(begin(part, i->second, living));
    settle();
    string text;
    for (const auto& answer : answers)
      text += (text.empty() ? "" : " ; ") + answer();
    print(line, text);
  }

  later begin(const string& part, const caf::actor& supervisor, const std::map<string, caf::actor>& living) {
    std::istringstream words{part};
    string verb, path, name;
    words >> verb >> path;
    const auto nothing = [](const char* text) -> later { return [text] { return string{text}; }; };
    if (verb == "fail") {
      failure f;
      words >> f.count >> f.how;
      failures_[path] = f;
      return nothing("-");
    }
    if (verb == "stop") {
      words >> name;
      send_exit(supervisor, reason_of(name));
      return nothing("-");
    }
    if (verb != "exit" && verb != "kill")
      return begin_request(verb, path, supervisor, living, words);
    const auto i = living.find(path);
    if (i == living.end())
      return nothing("noproc");
    words >> name;
    if (verb == "exit")
      post(i->second, reason_of(name));
    else
      send_exit(i->second, caf::exit_reason::kill);
    d_.run_only(i->second); // its end is in the supervisor's mailbox
    return nothing("-");
  }

  bool is_simple(const string& path) { return all_.at(path).get("strategy", "") == "simple_one_for_one"; }

  /// `change PATH strategy=… children=NAME:RESTART,…`
  later change(const string& path, const caf::actor& who, settings set) {
    const auto before = all_;
    auto& d = all_.at(path);
    d.children.clear();
    std::istringstream list{set["children"]};
    for (string entry; std::getline(list, entry, ',');) {
      const auto colon = entry.find(':');
      const auto child = path + "/" + entry.substr(0, colon);
      auto& c = all_[child];
      c.set.erase("significant");
      c.set["restart"] = entry.substr(colon + 1);
      d.children.push_back(child);
    }
    set.erase("children");
    d.set = std::move(set);
    return [this, before, answer = ask_for<supervisor_changed>(who, change_supervisor{options_of(path)})] {
      auto text = answer();
      if (text != "ok" && text != "noproc") // its successor asks anew
        all_ = before;
      return text;
    };
  }

  static void sort_stops(vector<string>& list) {
    const auto is_stop = [](const string& event) { return event.starts_with("stop "); };
    for (auto from = list.begin(); from != list.end();) {
      from = std::find_if(from, list.end(), is_stop);
      const auto to = std::find_if_not(from, list.end(), is_stop);
      std::sort(from, to);
      from = to;
    }
  }

  void print(const string& step, const string& answer) {
    out_ << step << "\n";
    if (!answer.empty())
      out_ << "  answer " << answer << "\n";
    for (auto& [group, list] : events_) {
      if (killed_.count(group) != 0) // those left behind end in no order
        std::sort(list.begin(), list.end());
      else if (group != "-" && is_simple(group.substr(0, group.rfind('#')))) // those of a template are stopped at once
        sort_stops(list);
      out_ << "  " << group << ":";
      for (std::size_t i = 0; i < list.size(); ++i)
        out_ << (i == 0 ? " " : ", ") << list[i];
      out_ << "\n";
    }
    events_.clear();
    out_ << "  alive";
    for (const auto& [path, who] : living_)
      out_ << " " << path;
    out_ << "\n";
  }

  struct failure {
    int count = 0;
    string how = "error";
  };

  std::ostream& out_;
  std::map<string, description> all_;
  std::map<string, failure> failures_;
  std::map<string, caf::actor> living_;
  std::map<string, int> incarnations_;
  std::map<string, vector<string>> events_;
  std::set<string> killed_; ///< Incarnations of supervisors that were killed.
  test::deterministic d_;

public:
  ~run() {
    for (const auto& [path, who] : std::map{living_})
      send_exit(who, caf::exit_reason::kill);
    d_.run();
    living_.clear();
  }
};

} // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: otp-scenario FILE...\n";
    return 2;
  }
  for (int i = 1; i < argc; ++i) {
    std::ifstream file{argv[i]};
    if (!file) {
      std::cerr << "otp-scenario: cannot read " << argv[i] << "\n";
      return 1;
    }
    std::cout << "== " << argv[i] << "\n";
    try {
      run{std::cout}.read(file);
    } catch (const std::exception& e) {
      std::cerr << "otp-scenario: " << argv[i] << ": " << e.what() << "\n";
      return 1;
    }
  }
}
