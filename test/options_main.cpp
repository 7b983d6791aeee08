// Prints the table of options as it stands in docs/options.md.
#include <stargate/options.hpp>

#include <iostream>

int main() {
  std::cout << stargate::options_as_markdown();
}
