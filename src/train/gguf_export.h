// The file that a training run ends in: hyperparameters, vocabulary, how the model streams (`tandem.*`),
// weights.
//
// The layout is the one that llama.cpp reads (architecture "llama", whose RoPE rotates neighbouring pairs),
// so that its tools work on the file and its results can be held against ours.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "text/vocabulary.h"
#include "train/train_config.h"

namespace tandem {

/// Added to the mean square in every RMS norm, in training and in the file.
inline constexpr float kRmsNormEpsilon = 1e-5F;

/// Weights as the trainer has them; `data` is borrowed.
struct NamedTensor {
  std::string name;                 // as llama.cpp names it, e.g. "blk.0.attn_q.weight"
  std::vector<std::int64_t> shape;  // ggml's order: the fastest dimension first, [n_in, n_out] for a matrix
  const float* data = nullptr;
};

enum class StoredType { kFloat32, kFloat16 };  // of matrices; vectors (norms) are always f32

/// Writes the whole model. The file at `path` appears whole or not at all.
/// Throws Error{kIo} when the disk says no, Error{kInvalidArgument} for a weight that is not finite (or does
/// not fit f16) or an embedding that has not one row per piece.
void export_model(const std::string& path, const TrainConfig& config, const TokenizerTables& tables,
                  std::span<const NamedTensor> tensors, StoredType type);

/// A LoRA adapter in llama.cpp's layout (tensors "<name>.lora_a", "<name>.lora_b"), with the `tandem.*` keys
/// that make the base stream.
struct AdapterFile {
  std::string architecture;  // of the base
  std::string base_name;     // general.name of the base; may be empty
  double alpha = 0.0;
  std::vector<TokenId> kept_ids;  // ascending; empty: all
};
/// Throws as export_model.
void export_adapter(const std::string& path, const TrainConfig& config, const AdapterFile& adapter,
                    std::span<const NamedTensor> tensors, StoredType type);

/// The base at `base_path` with all of `tensors` in place of its own, and how it streams. Throws as
/// export_model, and Error{kBadFile} for a base that cannot be read.
void export_tuned(const std::string& path, const TrainConfig& config, const std::string& base_path,
                  std::span<const TokenId> kept_ids, std::span<const NamedTensor> tensors, StoredType type);

/// Writes a GGUF that has the vocabulary alone, as llama.cpp's own vocabulary files.
void export_vocabulary(const std::string& path, const TokenizerTables& tables);

/// Reads what export_vocabulary or export_model wrote. Throws Error{kNotFound} or Error{kBadFile}.
TokenizerTables read_exported_vocabulary(const std::string& path);

}  // namespace tandem
