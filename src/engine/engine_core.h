// A loaded model with its one network, and what it takes to open sessions on it. The public faces, Engine and
// Service, are thin shells around it.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/session_core.h"
#include "engine/shared_pass.h"
#include "model/adapter.h"
#include "model/model.h"
#include "tandem/engine.h"

namespace tandem {

class EngineCore {
 public:
  EngineCore(std::shared_ptr<const Model> model, const EngineOptions& options);

  void load_adapter(const std::string& path);
  std::unique_ptr<SessionCore> open(const SessionOptions& options);
  std::span<const Progress> step(std::span<Session* const> sessions);
  SharedPass& shared_pass() { return *shared_pass_; }
  std::span<const PassCost> pass_costs() const {
    return costs_ ? costs_->points() : std::span<const PassCost>();
  }
  int wide_rows() const { return wide_rows_.value_or(0); }
  std::vector<std::string> target_languages(const std::string& adapter) const;
  std::int64_t session_bytes() const;

 private:
  /// Of sessions that are open.
  struct KnownSampler {
    std::weak_ptr<const Head> head;
    std::vector<TokenId> end;
    std::weak_ptr<const Sampler> sampler;
  };

  std::shared_ptr<const Adapter> find_adapter(const std::string& path) const;
  const std::optional<StreamMetadata>& metadata_of(const Adapter* adapter) const;
  PromptTemplate prompt_of(const SessionOptions& options, const std::string& language,
                           const std::optional<StreamMetadata>& metadata) const;
  TargetParts target_of(const SessionOptions& options, const std::string& language,
                        const std::optional<StreamMetadata>& metadata,
                        const std::shared_ptr<const Head>& head);
  std::shared_ptr<const Sampler> sampler_for(const std::shared_ptr<const Head>& head,
                                             const std::vector<TokenId>& end);
  Prompt tokens_of(const PromptTemplate& prompt, const std::string& language, const Head& head) const;
  CacheSpan reserve(std::span<const TargetParts> targets);
  void widen(const std::shared_ptr<const Adapter>& adapter);
  void know_costs(const std::shared_ptr<const Adapter>& adapter);
  int most_rows() const;
  void set_costs(std::vector<PassCost> points);

  std::shared_ptr<const Model> model_;
  EngineOptions options_;
  std::unique_ptr<Network> network_;
  std::optional<int> wide_rows_;  // once there are copies
  std::optional<PassCosts> costs_;
  std::unique_ptr<SharedPass> shared_pass_;
  std::map<std::string, std::shared_ptr<const Adapter>> adapters_;  // by path
  std::vector<KnownSampler> samplers_;

  // Of step(); kept for their memory.
  std::vector<SessionCore*> stepped_;
  std::vector<Progress> progress_;
};

}  // namespace tandem
