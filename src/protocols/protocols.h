// The wire protocols we speak.
#pragma once

#include <memory>
#include <vector>

#include "src/payment/protocol.h"

namespace paycurl {

/// The Machine Payments Protocol: the "Payment" HTTP authentication scheme
/// (draft-httpauth-payment-00).
std::unique_ptr<Protocol> make_mpp();

/// What the field "Payment <base64url>" says that goes with a paid request: the challenge it
/// answers, held to what `read` takes, the method's payload, and who paid. Kind::protocol when it
/// is none, or longer than 64 KiB.
Result<Credential> read_mpp_credential(std::string_view base64url);

/// L402, and LSAT as it was called before
/// (github.com/lightninglabs/L402, protocol-specification.md).
std::unique_ptr<Protocol> make_l402();

/// All of them, in the order in which an answer is offered to them.
std::vector<std::unique_ptr<Protocol>> make_protocols();

}  // namespace paycurl
