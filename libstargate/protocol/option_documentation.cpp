#include "libstargate/protocol/option_table.hpp"

#include <string>
#include <string_view>

namespace stargate {

namespace {

template <class Options>
void describe(std::string& out, std::string_view title) {
  out.append("## ").append(title).append("\n\n");
  out.append("| option | type | default | allowed | parameter | what it does |\n|---|---|---|---|---|---|\n");
  for (const auto& row : protocol::rows<Options>()) {
    out.append("| `").append(row.name).append("` | ").append(row.type).append(" | ").append(row.standard).append(" | ");
    out.append(row.allowed).append(" | ");
    if (!row.parameter.empty())
      out.append("`").append(row.parameter).append("`");
    out.append(" | ").append(row.help).append(" |\n");
  }
  out.append("\n");
}

} // namespace

std::string options_as_markdown() {
  std::string out;
  describe<options>(out, "The tree: `stargate::options`");
  describe<producer_options>(out, "A producer: `stargate::producer_options`");
  describe<consumer_options>(out, "A consumer: `stargate::consumer_options`");
  describe<reader_options>(out, "A reader: `stargate::reader_options`");
  return out;
}

} // namespace stargate
