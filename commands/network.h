// The HTTP client as the command line and the environment want it.
#pragma once

#include <memory>

#include "commands/command.h"
#include "commands/request_options.h"
#include "src/http/client.h"
#include "src/methods/methods.h"

namespace paycurl {

/// "paycurl/0.1.0".
std::string user_agent();

std::unique_ptr<http::Client> make_network(const Globals& globals, const RequestOptions& options);

/// The method options that the command line and the environment give.
Result<MethodOptions> method_options_of(const Globals& globals, const RequestOptions& options);

}  // namespace paycurl
