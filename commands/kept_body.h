// The body of a payment that was made before, from the spool.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "wallet/ledger.h"

namespace paycurl {

/// Hands all of it to `take`, whose error ends it. Kind::usage when it was not kept, not whole, or
/// not long enough.
Result<> read_kept_body(const std::string& state_folder, const Row& row,
                        const std::function<Result<>(std::string_view)>& take);

}  // namespace paycurl
