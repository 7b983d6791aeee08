// Runs worlds from seeds, on as many processes as there are processors; says what was tried, and what was found.
#include "simulation/world.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <optional>
#include <poll.h>
#include <sstream>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace stargate::simulation;

namespace {

constexpr std::chrono::seconds longest_world{60};   // of real time: more is a world that hangs
constexpr std::uint64_t worlds_of_a_process = 1000; // then another goes on, with memory as new

struct settings {
  std::uint64_t from = 1, to = 1000;
  std::optional<std::uint64_t> seed;
  double minutes = 0;
  std::size_t messages = 300;
  unsigned jobs = std::max(1u, std::thread::hardware_concurrency());
  bool trace = false, no_shrink = false, keep_going = false, quiet = false, first = false;
  std::vector<std::string> leave_out;
};

int report_fd = -1;

/// To the parent, a line at a time: pipes take short ones whole.
void tell(const std::string& line) {
  for (std::size_t at = 0; at < line.size();) {
    const auto n = ::write(report_fd, line.data() + at, line.size() - at);
    if (n <= 0)
      _exit(3);
    at += static_cast<std::size_t>(n);
  }
}

/// In a child: what runs in the world cannot be taken apart in the middle, so the process ends.
void on_violation(const std::string& what) {
  auto line = what;
  std::replace(line.begin(), line.end(), '\n', ' ');
  tell("V " + line + "\n");
  std::cout.flush();
  std::cerr.flush();
  _exit(1);
}

struct child {
  pid_t pid = -1;
  int fd = -1;
  std::string unread;
  std::uint64_t seed = 0;            ///< That it runs,
  std::optional<std::uint64_t> next; ///< or where another process goes on.
  std::chrono::steady_clock::time_point since = std::chrono::steady_clock::now();
  std::string violation;
};

template <class Work>
child start(const Work& work) {
  int ends[2];
  if (::pipe(ends) != 0) {
    std::perror("pipe");
    std::exit(3);
  }
  child c;
  std::cout.flush(); // or the child has it, too
  c.pid = ::fork();
  if (c.pid == 0) {
    ::close(ends[0]);
    report_fd = ends[1];
    work();
    std::cout.flush();
    std::cerr.flush();
    _exit(0);
  }
  ::close(ends[1]);
  c.fd = ends[0];
  return c;
}

std::string violation_of_status(int status) {
  if (WIFSIGNALED(status))
    return std::string{"the program was ended by signal "} + strsignal(WTERMSIG(status));
  return WEXITSTATUS(status) == 0 ? "" : "the program ended with status " + std::to_string(WEXITSTATUS(status));
}

/// Runs one world in a process of its own. Gives the violation, or nothing.
std::string run_apart(const scenario& s, bool trace) {
  auto c = start([&] {
    coverage covered;
    world w{s, covered, trace ? &std::cout : nullptr, on_violation};
    w.run();
  });
  std::string said;
  pollfd wait{c.fd, POLLIN, 0};
  const auto until = std::chrono::steady_clock::now() + longest_world;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    if (left.count() <= 0 || ::poll(&wait, 1, static_cast<int>(left.count())) == 0) {
      ::kill(c.pid, SIGKILL);
      said = "V the world hangs\n";
      break;
    }
    char buffer[4096];
    const auto n = ::read(c.fd, buffer, sizeof buffer);
    if (n <= 0)
      break;
    said.append(buffer, static_cast<std::size_t>(n));
  }
  int status = 0;
  ::waitpid(c.pid, &status, 0);
  ::close(c.fd);
  if (const auto at = said.find("V "); at != std::string::npos)
    return said.substr(at + 2, said.find('\n', at) - at - 2);
  return violation_of_status(status);
}

/// The same kind of violation, whatever messages and numbers it names.
std::string kind_of(const std::string& violation) {
  std::string kind;
  for (const auto c : violation.substr(0, violation.find("persistent://")))
    if (std::isdigit(static_cast<unsigned char>(c)) == 0)
      kind += c;
  return kind.substr(0,
                     std::min(kind.size(), kind.find(": ") == std::string::npos ? kind.size() : kind.find(": ") + 12));
}

/// Leaves out parts of a scenario for as long as what goes wrong stays the same.
omissions shrink(const scenario& whole, const std::string& violation) {
  omissions left_out;
  int runs = 0;
  const auto still_fails = [&](const omissions& o) {
    return ++runs < 400 && kind_of(run_apart(without(whole, o), false)) == kind_of(violation);
  };
  const auto reduce = [&](std::size_t count, std::vector<std::size_t> omissions::*list) {
    for (auto chunk = std::max<std::size_t>(1, count / 2); chunk > 0; chunk /= 2)
      for (std::size_t at = 0; at < count; at += chunk) {
        auto tried = left_out;
        auto& places = tried.*list;
        for (auto i = at; i < std::min(count, at + chunk); ++i)
          if (std::find(places.begin(), places.end(), i) == places.end())
            places.push_back(i);
        if (places.size() > (left_out.*list).size() && still_fails(tried))
          left_out = std::move(tried);
      }
  };
  reduce(whole.faults.size(), &omissions::faults);
  reduce(whole.deeds.size(), &omissions::deeds);
  reduce(whole.pipelines.size(), &omissions::pipelines);
  reduce(whole.faults.size(), &omissions::faults);
  return left_out;
}

std::string to_text(const omissions& o) {
  std::string text;
  const auto add = [&](char kind, const std::vector<std::size_t>& places) {
    for (const auto p : places)
      text += (text.empty() ? "" : ",") + std::string{kind} + std::to_string(p);
  };
  add('f', o.faults);
  add('d', o.deeds);
  add('p', o.pipelines);
  return text;
}

omissions omissions_of(const std::vector<std::string>& words) {
  omissions o;
  for (const auto& word : words) {
    auto& list = word.at(0) == 'f' ? o.faults : word.at(0) == 'd' ? o.deeds : o.pipelines;
    list.push_back(std::stoul(word.substr(1)));
  }
  return o;
}

void describe(const scenario& s) {
  std::cout << "seed " << s.seed << "\n";
  for (const auto& p : s.pipelines) {
    std::cout << "  " << p.name() << (p.from_the_start ? "" : " (added later)") << ":";
    for (const auto& d : p.drawn)
      std::cout << " " << d << ";";
    std::cout << "\n";
  }
  std::cout << "  " << s.deeds.size() << " deeds";
  if (s.deeds.size() <= 12)
    for (const auto& d : s.deeds)
      std::cout << "; " << d.at << ": " << to_string(d);
  std::cout << "\n  " << s.faults.size() << " faults";
  for (const auto& f : s.faults)
    std::cout << "; " << f.at << ": " << to_string(f);
  std::cout << "\n";
}

void show(const settings& with, std::uint64_t seed, const std::string& violation) {
  std::cout << "\nseed " << seed << ": " << violation << "\n";
  if (with.no_shrink)
    return;
  const auto whole = make_scenario(seed, with.messages);
  const auto less = shrink(whole, violation);
  const auto small = without(whole, less);
  std::cout << "as small as it gets:\n";
  describe(small);
  std::cout << "run it again: scripts/simulate --seed " << seed << " --messages " << with.messages << " --trace"
            << (to_text(less).empty() ? "" : " --without " + to_text(less)) << "\n"
            << std::flush;
}

int run_one(const settings& with) {
  const auto s = without(make_scenario(*with.seed, with.messages), omissions_of(with.leave_out));
  describe(s);
  std::cout.flush();
  const auto violation = run_apart(s, with.trace);
  std::cout << (violation.empty() ? "every promise was kept" : "seed " + std::to_string(*with.seed) + ": " + violation)
            << "\n";
  if (!violation.empty() && !with.trace && with.leave_out.empty())
    show(with, *with.seed, violation);
  return violation.empty() ? 0 : 1;
}

/// What a worker tells in the end, and in between.
void tell_totals(const totals& v, coverage& covered) {
  std::ostringstream out;
  out << "T " << v.worlds << ' ' << v.published << ' ' << v.stored << ' ' << v.unknown << ' ' << v.handled << ' '
      << v.faults << ' ' << v.steps << ' ' << v.lasted << '\n';
  for (const auto& [cell, count] : covered.cells())
    out << "C " << count << ' ' << cell << '\n';
  tell(out.str());
  covered.clear();
}

void work(const settings& with, std::uint64_t from, std::uint64_t step,
          std::optional<std::chrono::steady_clock::time_point> until) {
  coverage covered;
  totals sum;
  std::uint64_t all = 0;
  for (auto seed = from; seed < with.to; seed += step) {
    if (all++ == worlds_of_a_process) {
      tell("N " + std::to_string(seed) + "\n");
      break;
    }
    if (until && std::chrono::steady_clock::now() >= *until)
      break;
    tell("S " + std::to_string(seed) + "\n");
    sum += world{make_scenario(seed, with.messages), covered, nullptr, on_violation}.run();
    if (sum.worlds == 50) {
      tell_totals(sum, covered);
      sum = {};
    }
  }
  tell_totals(sum, covered);
}

int run_many(const settings& with) {
  using clock = std::chrono::steady_clock;
  const auto begun = clock::now();
  std::optional<clock::time_point> until;
  if (with.minutes > 0)
    until = begun + std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(with.minutes * 60));
  coverage covered;
  totals sum;
  std::map<std::uint64_t, std::string> violations;
  std::vector<child> children;
  for (unsigned i = 0; i < with.jobs; ++i)
    children.push_back(start([&] { work(with, with.from + i, with.jobs, until); }));
  auto told = begun;
  const auto read_line = [&](child& c, const std::string& line) {
    std::istringstream in{line.substr(std::min<std::size_t>(2, line.size()))};
    if (line.starts_with("S ")) {
      in >> c.seed;
      c.since = clock::now();
    } else if (line.starts_with("N ")) {
      c.next = std::stoull(line.substr(2));
    } else if (line.starts_with("V ")) {
      c.violation = line.substr(2);
    } else if (line.starts_with("C ")) {
      std::uint64_t count = 0;
      std::string cell;
      in >> count;
      std::getline(in >> std::ws, cell);
      covered.add(cell, count);
    } else if (line.starts_with("T ")) {
      totals t;
      in >> t.worlds >> t.published >> t.stored >> t.unknown >> t.handled >> t.faults >> t.steps >> t.lasted;
      sum += t;
    }
  };
  const auto seconds = [&] { return std::chrono::duration<double>(clock::now() - begun).count(); };
  while (!children.empty()) {
    std::vector<pollfd> waits;
    for (const auto& c : children)
      waits.push_back({c.fd, POLLIN, 0});
    ::poll(waits.data(), waits.size(), 500);
    for (std::size_t i = 0; i < children.size(); ++i) {
      auto& c = children[i];
      if (clock::now() - c.since > longest_world) {
        c.violation = "the world hangs";
        ::kill(c.pid, SIGKILL);
        c.since = clock::now();
      }
      if (waits[i].revents == 0)
        continue;
      char buffer[1 << 16];
      const auto n = ::read(c.fd, buffer, sizeof buffer);
      if (n > 0) {
        c.unread.append(buffer, static_cast<std::size_t>(n));
        for (std::size_t end; (end = c.unread.find('\n')) != std::string::npos; c.unread.erase(0, end + 1))
          read_line(c, c.unread.substr(0, end));
        continue;
      }
      int status = 0;
      ::waitpid(c.pid, &status, 0);
      ::close(c.fd);
      c.fd = -1;
      if (c.violation.empty())
        c.violation = violation_of_status(status);
      if (c.violation.empty() && c.next) {
        const auto next = *c.next;
        children.push_back(start([&] { work(with, next, with.jobs, until); }));
        break; // the lists do not fit each other any more
      }
      if (!c.violation.empty()) {
        violations.emplace(c.seed, c.violation);
        if (!with.first)
          std::cout << "seed " << c.seed << ": " << c.violation << "\n" << std::flush;
        if (with.first) {
          std::cout << "found by seed " << c.seed << ": " << c.violation << "\n" << std::flush;
          for (const auto& other : children)
            if (other.fd >= 0)
              ::kill(other.pid, SIGKILL);
          return 1;
        }
        if ((with.keep_going || violations.size() < 3) && c.seed + with.jobs < with.to) {
          const auto next = c.seed + with.jobs;
          children.push_back(start([&] { work(with, next, with.jobs, until); }));
          break; // the lists do not fit each other any more
        }
      }
    }
    std::erase_if(children, [](const child& c) { return c.fd < 0; });
    if (!with.quiet && clock::now() - told > std::chrono::seconds{10}) {
      told = clock::now();
      std::cout << sum.worlds << " worlds, "
                << static_cast<std::uint64_t>(static_cast<double>(sum.worlds) / seconds() * 60) << " a minute, "
                << violations.size() << " violations\n"
                << std::flush;
    }
  }
  if (!with.quiet)
    std::cout << "\n" << to_table(covered) << "\n";
  std::cout << sum.worlds << " worlds of seeds from " << with.from << " on, in "
            << static_cast<std::uint64_t>(seconds()) << " s ("
            << static_cast<std::uint64_t>(static_cast<double>(sum.worlds) / seconds() / with.jobs * 60)
            << " a processor-minute): " << sum.published << " messages published, " << sum.stored << " stored, "
            << sum.unknown << " unknown, " << sum.handled << " handled, " << sum.faults << " faults, " << sum.steps
            << " steps, " << sum.lasted / 1'000'000 << " s of virtual time\n";
  if (with.keep_going)
    return violations.empty() ? 0 : 1;
  for (const auto& [seed, violation] : violations)
    show(with, seed, violation);
  std::cout << (violations.empty() ? "every promise was kept\n" : "");
  return violations.empty() ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
  CLI::App app{
    "Runs whole trees in simulated worlds, from seeds: network, broker, application and faults, in virtual time."};
  settings with;
  std::string seeds;
  app.add_option("--seeds", seeds, "the seeds A..B, B not among them (default 1..1000)");
  app.add_option("--seed", with.seed, "one seed only");
  app.add_option("--minutes", with.minutes, "as many seeds from A on as there is time for");
  app.add_option("--messages", with.messages, "about how many messages a world publishes (default 300)");
  app.add_option("--jobs", with.jobs, "how many processes (default: one for each processor)");
  app.add_flag("--trace", with.trace, "of one seed: everything that happens");
  app.add_option("--without", with.leave_out, "of one seed: leaves out faults (f3), deeds (d7), pipelines (p0)")
    ->delimiter(',');
  app.add_flag("--no-shrink", with.no_shrink, "does not make what was found smaller");
  app.add_flag("--keep-going", with.keep_going, "goes on after violations, and only lists them");
  app.add_flag("--first", with.first, "ends with the first violation, and says only that");
  app.add_flag("--quiet", with.quiet, "no progress and no tables");
  CLI11_PARSE(app, argc, argv);
  if (!seeds.empty()) {
    const auto dots = seeds.find("..");
    try {
      with.from = std::stoull(seeds.substr(0, dots));
      with.to = dots == std::string::npos ? with.from + 1 : std::stoull(seeds.substr(dots + 2));
    } catch (const std::exception&) {
      std::cerr << "--seeds takes A..B, not '" << seeds << "'\n";
      return 2;
    }
  } else if (with.minutes > 0) {
    with.to = std::numeric_limits<std::uint64_t>::max() - 1000;
  }
  return with.seed ? run_one(with) : run_many(with);
}
