// Text to people: the only place that writes to stderr, and the words for money.
#pragma once

#include <string>
#include <string_view>

#include "commands/command.h"
#include "src/base/error.h"
#include "src/base/json.h"
#include "src/base/money.h"

namespace paycurl {

/// Writes all of it to a descriptor; transport error 23 (curl's "write error") when that fails.
Result<> write_all(int fd, std::string_view bytes);
/// Writes text to stdout.
Result<> print(std::string_view text);
/// Writes a line of JSON to stdout, with nothing in it that changes how a terminal shows the rest.
Result<> print_json(const Json& json);
/// From now on no line on stderr has this text.
void hide_from_stderr(const std::string& secret);
/// `text` without what was hidden.
std::string without_hidden(std::string text);
/// From now on stderr is this file ("-": stdout); nothing when it is empty.
Result<> move_stderr(const std::string& file);
/// Writes a line to stderr; failures have nowhere to go.
void say(std::string_view line);

/// "paycurl: error: ..." and "paycurl: hint: ..." on stderr.
void say_error(const Error& error);
/// "paycurl: note: ...".
void say_note(std::string_view sentence);

bool is_terminal(int fd);
/// Whether a person is there to unlock a keychain.
bool may_unlock(const Globals& globals);
/// Whether stderr may have colours.
bool may_color(const Globals& globals);
/// `text` in bold, when colours are wanted.
std::string bold(const Globals& globals, std::string_view text);

/// The graver of two exit statuses: 107, 108, 130, then 100 to 109, then the others. The first when
/// they are equally grave.
int graver(int one, int other);

/// "0x7099...79C8": enough of an address or hash to recognise it.
std::string shortened(std::string_view hex);

/// Columns of equal width, two spaces apart, for people.
std::string table(const std::vector<std::vector<std::string>>& rows);

}  // namespace paycurl
