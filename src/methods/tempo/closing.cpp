#include "src/methods/tempo/closing.h"

#include "src/base/text.h"
#include "src/http/url.h"
#include "src/methods/tempo/chain.h"
#include "src/methods/tempo/session.h"

namespace paycurl::tempo {
namespace {

constexpr std::uint64_t kLeaveGas = 600'000;

Escrow::Facts facts_of(const ChannelState& state, Millis time) {
  Escrow::Facts facts;
  facts.exists = state.exists;
  facts.deposit = state.deposit;
  facts.settled = state.settled;
  facts.now = time * 1000;
  if (state.close_requested != 0) {
    facts.withdrawable = (state.close_requested + kGracePeriod) * 1000;
  }
  return facts;
}

/// No more than was signed before.
Result<Credential> credential(const char* action, const Channel& channel, Amount cumulative,
                              const Challenge& challenge, Spender& spender) {
  const auto descriptor = Descriptor::parse(channel.descriptor);
  if (!descriptor) return descriptor.error();
  if (cumulative > channel.signed_amount) return Error{Kind::internal, "more than was signed"};
  const Digest id = channel_id(*descriptor);
  const auto signature = spender.sign_covered(voucher_digest(*descriptor, id, cumulative));
  if (!signature) return signature.error();
  return Credential{challenge, voucher_payload(action, *descriptor, id, cumulative, *signature),
                    source_of(descriptor->chain, spender.payer().address), false};
}

}  // namespace

Result<Credential> close_credential(const Channel& channel, const Challenge& challenge,
                                    Spender& spender) {
  return credential("close", channel, channel.spent, challenge, spender);
}

Result<Credential> same_voucher(const Channel& channel, const Challenge& challenge,
                                Spender& spender) {
  return credential("voucher", channel, channel.signed_amount, challenge, spender);
}

Result<Escrow::Ending> ending_of(Channel& channel, const std::optional<Receipt>& receipt) {
  if (!receipt) return Error{Kind::protocol, "there is no receipt of the close"};
  if (auto told = closing_numbers(*receipt, channel); !told) return told.error();
  const auto hash = receipt->json.string_at("txHash");
  return Escrow::Ending{hash ? *hash : "", channel.remaining(), std::nullopt};
}

Result<std::vector<Escrow::Facts>> look_at_channels(const std::vector<Channel>& channels,
                                                    const Networks& networks,
                                                    http::Client& client) {
  std::vector<Escrow::Facts> facts(channels.size());
  std::vector<Descriptor> descriptors;
  for (const Channel& channel : channels) {
    auto read = Descriptor::parse(channel.descriptor);
    if (!read) return read.error();
    descriptors.push_back(*read);
  }
  // One batch for each escrow.
  std::vector<bool> done(channels.size());
  for (std::size_t first = 0; first < channels.size(); ++first) {
    if (done[first]) continue;
    const Descriptor& like = descriptors[first];
    std::vector<Digest> ids;
    std::vector<std::size_t> at;
    for (std::size_t i = first; i < channels.size(); ++i) {
      const Descriptor& d = descriptors[i];
      if (d.chain != like.chain || d.escrow != like.escrow || d.version != like.version) continue;
      done[i] = true;
      ids.push_back(channel_id(d));
      at.push_back(i);
    }
    auto node = networks.node(like.chain, client);
    if (!node) return node.error();
    const auto states = node->channel_states(like.version, like.escrow, ids);
    if (!states) return states.error();
    for (std::size_t i = 0; i < at.size(); ++i) {
      facts[at[i]] = facts_of(states->channels[i], states->time);
    }
  }
  return facts;
}

Result<std::string> leave_channel(const Channel& channel, bool withdraw, const Networks& networks,
                                  Spender& spender, http::Client& client) {
  const auto d = Descriptor::parse(channel.descriptor);
  if (!d) return d.error();
  auto node = networks.node(d->chain, client);
  if (!node) return node.error();
  if (auto right = node->check(); !right) return right.error();
  const Digest id = channel_id(*d);
  // The chain judges the time of a transaction, and no server's clock is at hand: its own.
  const auto states = node->channel_states(d->version, d->escrow, {id});
  if (!states) return states.error();
  Transaction leaving = expiring_transaction(
      d->chain, {withdraw ? withdraw_call(*d, id) : request_close_call(*d, id)}, kLeaveGas,
      states->time * 1000, std::nullopt);
  leaving.fee_token = networks.fee_token(d->token);
  const auto token = networks.token(d->chain, *leaving.fee_token);
  if (!token) return token.error();
  leaving.max_fee = affordable_max_fee(kLeaveGas, spender.fee_limit({Amount(), token->asset}));
  const Bytes preimage = signing_preimage(leaving);
  const auto signature = spender.sign_fee({most_fee(leaving), token->asset}, keccak256(preimage));
  if (!signature) return signature.error();
  const auto whole = complete(preimage, d->payer, *signature);
  if (!whole) return whole.error();
  const std::string hash = to_0x(keccak256(*whole));
  auto mined = node->broadcast(*whole, hash);
  if (!mined) return mined.error();
  return hash;
}

Result<std::vector<Channel>> channels_on_chain(const Address& payer, const Networks& networks,
                                               http::Client& client) {
  std::vector<Channel> found;
  for (const std::uint64_t chain : networks.chains()) {
    auto node = networks.node(chain, client);
    if (!node) return node.error();
    for (const auto& [version, escrow] : known_escrows(chain)) {
      const auto opened = node->opened_channels(version, escrow, payer);
      if (!opened) return opened.error();
      for (const OpenedLog& log : *opened) {
        const auto token = networks.token(chain, log.descriptor.token);
        const Asset unknown{"?",
                            0,
                            log.descriptor.token.lower_hex(),
                            network_name(chain),
                            false,
                            chain != kMainnet};
        Channel channel = row_of(log.descriptor, token ? token->asset : unknown);
        channel.deposit = log.deposit;
        channel.source = "chain";
        found.push_back(std::move(channel));
      }
    }
  }
  const auto facts = look_at_channels(found, networks, client);
  if (!facts) return facts.error();
  std::vector<Channel> alive;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const Escrow::Facts& now = (*facts)[i];
    if (!now.exists) continue;
    Channel& channel = found[i];
    channel.deposit = now.deposit;
    channel.signed_amount = channel.accepted = channel.spent = now.settled;
    channel.withdrawable = now.withdrawable;
    channel.status = now.withdrawable ? ChannelStatus::closing : ChannelStatus::open;
    alive.push_back(std::move(channel));
  }
  return alive;
}

namespace {

Error no_mppx_session() {
  return {Kind::usage, "this is no session of mppx that paycurl reads"};
}

Result<Amount> amount_in(const Json& json, std::string_view key) {
  const auto text = json.string_at(key);
  const auto amount = text ? Amount::parse(*text) : std::nullopt;
  if (!amount) return no_mppx_session();
  return *amount;
}

/// The descriptor that the file has under "channel", when it is that of the id there.
Result<Descriptor> descriptor_of_mppx(const Json& stored) {
  const Json* descriptor = stored.find("descriptor");
  const auto chain = stored.optional_integer_at("chainId");
  const auto escrow_text = stored.string_at("escrow");
  const auto id = stored.string_at("channelId");
  if (descriptor == nullptr || !chain || !*chain || **chain <= 0 || !escrow_text || !id) {
    return no_mppx_session();
  }
  const auto escrow = Address::parse(*escrow_text);
  if (!escrow) return no_mppx_session();
  const auto d = Descriptor::from_json(*descriptor, static_cast<std::uint64_t>(**chain), *escrow);
  if (!d || lower(*id) != to_0x(channel_id(*d))) return no_mppx_session();
  return *d;
}

ChannelStatus status_of_mppx(std::string_view status) {
  return status == "open"      ? ChannelStatus::open
         : status == "opening" ? ChannelStatus::opening
         : status == "closing" ? ChannelStatus::closing
                               : ChannelStatus::lost;
}

Millis time_in(const Json& json, std::string_view key) {
  const auto text = json.string_at(key);
  return text ? parse_rfc3339(*text).value_or(0) : 0;
}

}  // namespace

Result<Channel> channel_of_mppx(const Json& file, const Networks& networks) {
  const Json* stored = file.find("channel");
  const auto version = file.optional_integer_at("version");
  const auto status = file.string_at("status");
  const auto endpoint = file.string_at("endpoint");
  const auto units = file.optional_integer_at("units");
  if (stored == nullptr || !version || *version != 1 || !status || !endpoint || !units) {
    return no_mppx_session();
  }
  const auto d = descriptor_of_mppx(*stored);
  const auto url = http::parse_url(*endpoint);
  const auto cumulative = amount_in(*stored, "cumulativeAmount");
  const auto deposit = amount_in(*stored, "deposit");
  const auto spent = amount_in(file, "spent");
  if (!d || !url || !cumulative || !deposit || !spent || *spent > *cumulative) {
    return no_mppx_session();
  }
  const auto token = networks.token(d->chain, d->token);
  if (!token) return token.error();
  Channel channel = row_of(*d, token->asset);
  channel.status = status_of_mppx(*status);
  channel.origin = url->origin();
  channel.url = url->text;
  const Json* account = file.find("account");
  const auto name = account == nullptr ? Result<std::optional<std::string>>(std::nullopt)
                                       : account->optional_string_at("name");
  if (name && *name) channel.account = **name;
  channel.deposit = *deposit;
  channel.signed_amount = channel.accepted = *cumulative;
  channel.spent = *spent;
  channel.units = units->value_or(0);
  channel.opened = time_in(file, "createdAt");
  channel.used = time_in(file, "updatedAt");
  channel.source = "mppx";
  return channel;
}

}  // namespace paycurl::tempo
