// A file of -K.
#include "commands/config_lines.h"

#include "tests/fuzz/fuzz.h"

void paycurl::fuzz_one(std::string_view input) {
  const auto shape_of = [](const std::string& name) -> OptionShape {
    return {name.size() % 2 == 0, name.size() % 4 == 0};
  };
  const auto arguments = read_config_lines(input, "file", shape_of);
  if (!arguments) {
    FUZZ_CHECK(arguments.error().kind == Kind::usage);
    return;
  }
  for (std::size_t i = 0; i < arguments->size(); ++i) {
    const OptionShape shape = shape_of((*arguments)[i]);
    FUZZ_CHECK((*arguments)[i].starts_with('-'));
    if (shape.known && !shape.takes_value) continue;
    if (shape.known) FUZZ_CHECK(++i < arguments->size());
    if (!shape.known) return;  // what follows may be a value
  }
}
