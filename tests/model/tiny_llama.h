// Small random LLaMA files for tests, made on the spot: seeded, no constant weights, with the small
// vocabulary of tests/text. Widths are multiples of 256, so that every weight type fits.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

struct gguf_context;

namespace tandem::testing {

struct TinyShape {
  int n_layers = 2;
  int n_embd = 256;
  int n_heads = 4;
  int n_kv_heads = 2;
  int n_ff = 512;
  int n_vocab = 0;  // 0: the vocabulary's own size; more: filled up with made-up words
  bool tied = false;
  unsigned seed = 7;
};

/// A folder that goes when the test goes.
class TemporaryFolder {
 public:
  TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder();

  std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

/// Writes an f32 model. `edit` may change the metadata before they are written.
void write_tiny_llama(const std::string& path, const TinyShape& shape = {},
                      const std::function<void(gguf_context*)>& edit = {});

/// The same in another weight type ("q8_0").
void write_tiny_llama(const std::string& path, const TinyShape& shape, const std::string& type);

/// Sound `tandem.*` keys: phi 0, k = 3 and inf, en -> de and fr.
void add_stream_metadata(gguf_context* file);

std::string read_bytes(const std::string& path);
void write_bytes(const std::string& path, std::string_view bytes);

}  // namespace tandem::testing
