// The state of a run on disk: enough to go on as if it had never stopped. Written whole or not at all, with
// the one before kept, so that a power cut or a full disk costs minutes, not the run. Plain data: no torch in
// here.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace tandem {

struct Checkpoint {
  std::int64_t step = 0;                    // steps done; all random draws follow from the seed and this
  double seconds = 0.0;                     // spent in steps so far
  std::string fingerprint;                  // of what the buffers fit: shapes, vocabulary
  std::vector<std::vector<float>> buffers;  // parameters, moments, average
};

/// The same, borrowed, for writing.
struct CheckpointView {
  std::int64_t step = 0;
  double seconds = 0.0;
  std::string fingerprint;
  std::vector<std::span<const float>> buffers;
};

/// Writes DIR/checkpoint.bin; what was there becomes DIR/checkpoint.previous.bin. Throws Error{kIo}; then the
/// old checkpoint still is there.
void save_checkpoint(const std::string& dir, const CheckpointView& checkpoint);

struct LoadedCheckpoint {
  Checkpoint checkpoint;
  std::string warning;  // why the newest was passed over, if it was; one line
};

/// The newest checkpoint in DIR that is whole; nothing if there is none at all.
/// Throws Error{kBadFile} if all that are there are damaged, or the one found has another fingerprint.
std::optional<LoadedCheckpoint> load_checkpoint(const std::string& dir, const std::string& fingerprint);

/// Whether DIR has a checkpoint, whole or not.
bool has_checkpoint(const std::string& dir);

}  // namespace tandem
