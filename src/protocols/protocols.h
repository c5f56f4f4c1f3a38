// The wire protocols we speak.
#pragma once

#include <memory>
#include <vector>

#include "src/payment/protocol.h"

namespace paycurl {

/// The Machine Payments Protocol: the "Payment" HTTP authentication scheme
/// (draft-httpauth-payment-00).
std::unique_ptr<Protocol> make_mpp();

/// L402, and LSAT as it was called before
/// (github.com/lightninglabs/L402, protocol-specification.md).
std::unique_ptr<Protocol> make_l402();

/// All of them, in the order in which an answer is offered to them.
std::vector<std::unique_ptr<Protocol>> make_protocols();

}  // namespace paycurl
