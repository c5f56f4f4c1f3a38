// Turns: where several processes make one invocation (-Z), one at a time prints a line or asks a
// question. Alone, a process never waits.
#pragma once

#include <optional>
#include <string_view>

#include "src/base/result.h"
#include "src/base/secret.h"

namespace paycurl {

/// Makes what the turns are taken on; the processes that are forked from now on share it.
/// Kind::internal when the system has none to give.
Result<> share_turns();

/// Held until its end, or the process's.
class Turn {
 public:
  enum class At {
    output,    ///< a line on stdout or stderr
    question,  ///< the terminal, or the keychain that may ask there
  };
  explicit Turn(At what);
  ~Turn();
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  At what_;
};

/// The password that another process of this invocation was told; nothing when none was. Both while
/// holding the turn at questions.
std::optional<Secret> shared_password(std::string_view question);
void share_password(std::string_view question, const Secret& password);

}  // namespace paycurl
