// The HTTP client, the methods and the protocols as the command line and the environment want it.
#pragma once

#include <memory>

#include "commands/command.h"
#include "commands/request_options.h"
#include "src/http/client.h"
#include "src/methods/lightning/node.h"
#include "src/methods/methods.h"
#include "src/protocols/protocols.h"

namespace paycurl {

/// "paycurl/0.1.0".
std::string user_agent();

/// What a command reaches the world with.
struct Network {
  std::unique_ptr<http::Client> client;
  std::vector<std::unique_ptr<Method>> methods;  // on `client`
  std::vector<std::unique_ptr<Protocol>> protocols;

  std::vector<Method*> method_list() const;
  std::vector<const Protocol*> protocol_list() const;
};

/// Clients for wallets and nodes: without the command line's proxy, trace, -k and certificates.
lightning::ClientFor client_for(const Globals& globals);

/// Kind::usage when a method does not know an option.
Result<Network> make_network(const Globals& globals, const RequestOptions& options);

}  // namespace paycurl
