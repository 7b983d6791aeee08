// The completion and the manual page, made from the same description of the command line that parses it.
#include "cli/common.hpp"

#include <iostream>
#include <sstream>

namespace stargate::cli {

namespace {

std::string words_of(const CLI::App& app) {
  std::string words;
  for (const auto* sub : app.get_subcommands([](const CLI::App* s) { return !s->get_name().empty(); }))
    words += (words.empty() ? "" : " ") + sub->get_name();
  return words;
}

std::string flags_of(const CLI::App& app) {
  std::string flags;
  for (const auto* option : app.get_options()) {
    for (const auto& name : option->get_lnames())
      flags += " --" + name;
    for (const auto& name : option->get_snames())
      flags += " -" + name;
  }
  for (const auto* group : app.get_subcommands([](const CLI::App* s) { return s->get_name().empty(); }))
    flags += flags_of(*group);
  return flags;
}

/// A case for each subcommand: its words as typed so far, and what may follow.
void complete(std::ostream& out, const CLI::App& app, const std::string& path, const std::string& global) {
  out << "    '" << path << "') words='" << words_of(app) << flags_of(app) << global << "' ;;\n";
  for (const auto* sub : app.get_subcommands([](const CLI::App* s) { return !s->get_name().empty(); }))
    complete(out, *sub, path + (path.empty() ? "" : " ") + sub->get_name(), global);
}

int print_completion(const CLI::App& app) {
  std::cout << "# Completion for bash:  source <(stargate completion)\n"
               "_stargate() {\n"
               "  local current=${COMP_WORDS[COMP_CWORD]} path= word words=\n"
               "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
               "    case $word in -*) ;; *) [[ $word =~ ^[a-z]+$ ]] && path=\"${path:+$path }$word\" ;; esac\n"
               "  done\n"
               "  while :; do\n"
               "    case $path in\n";
  complete(std::cout, app, "", flags_of(app));
  std::cout << "    esac\n"
               "    [ -z \"$words\" ] && [ -n \"$path\" ] || break\n"
               "    case $path in *' '*) path=${path% *} ;; *) path= ;; esac # the last word was an argument\n"
               "  done\n"
               "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
               "}\n"
               "complete -o default -F _stargate stargate\n";
  return done;
}

/// Text as troff takes it.
std::string troff(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n'))
      (out += "\\&") += c;
    else
      out += c;
  }
  return out;
}

void manual_options(std::ostream& out, const CLI::App& app) {
  for (const auto* option : app.get_options()) {
    out << ".TP\n.B " << troff(option->get_name(!option->get_positional(), true));
    if (!option->get_type_name().empty() && option->get_expected_max() > 0)
      out << " \\fI" << troff(option->get_type_name()) << "\\fR";
    out << "\n" << troff(option->get_description());
    if (!option->get_default_str().empty())
      out << "\nDefault: " << troff(option->get_default_str()) << ".";
    out << "\n";
  }
  for (const auto* group : app.get_subcommands([](const CLI::App* s) { return s->get_name().empty(); }))
    manual_options(out, *group);
}

void manual_commands(std::ostream& out, const CLI::App& app, const std::string& path) {
  for (const auto* sub : app.get_subcommands([](const CLI::App* s) { return !s->get_name().empty(); })) {
    const auto name = path + " " + sub->get_name();
    out << ".SS " << troff(name) << "\n" << troff(sub->get_description()) << ".\n";
    manual_options(out, *sub);
    manual_commands(out, *sub, name);
  }
}

int print_manual(const CLI::App& app) {
  std::ostringstream out;
  out << ".TH STARGATE 1 \"\" \"stargate " STARGATE_VERSION "\" \"User Commands\"\n"
      << ".SH NAME\nstargate \\- " << troff(app.get_description()) << "\n"
      << ".SH SYNOPSIS\n.B stargate\n[\\fIoptions\\fR] \\fIcommand\\fR [\\fIarguments\\fR]\n"
      << ".SH OPTIONS\n";
  manual_options(out, app);
  out << ".SH COMMANDS\n";
  manual_commands(out, app, "stargate");
  out << ".SH NOTES\n" << troff(app.get_footer()) << "\n";
  std::cout << out.str();
  return done;
}

} // namespace

void add_documents(CLI::App& app, std::function<int()>& run) {
  app.add_subcommand("completion", "Print what completes this command's words in bash")->callback([&app, &run] {
    run = [&app] { return print_completion(app); };
  });
  app.add_subcommand("manual", "Print the manual page, for man -l -")->callback([&app, &run] {
    run = [&app] { return print_manual(app); };
  });
}

} // namespace stargate::cli
