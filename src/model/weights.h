// Weights: from the file's tensors to tensors that the device computes with, each checked against the shape
// that the configuration asks for. Where the device can read the mapped file, nothing is copied; matrices
// that the device likes in a layout of its own are repacked once.
//
// Use: a family asks for each tensor by name (matrix, rows, vector, table), then finish() places them all and
// refuses a file with tensors that nobody asked for: a graph that ignores a bias would answer wrongly in
// silence.
#pragma once

#include <ggml-cpp.h>

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/gguf_file.h"
#include "model/model_options.h"
#include "stream/types.h"

namespace tandem {

/// Rows that are looked up, not multiplied: they stay on the host, in the type of the file.
class RowTable {
 public:
  RowTable() = default;
  explicit RowTable(const StoredTensor& tensor);

  int n_rows() const { return n_rows_; }
  int width() const { return width_; }
  /// Writes one row as f32. Needs 0 <= row < n_rows() and out.size() == width().
  void read(int row, std::span<float> out) const;

 private:
  std::span<const std::byte> data_;
  int type_ = 0;
  int n_rows_ = 0;
  int width_ = 0;
};

/// The buffers behind a model's tensors; the file's mapping may be one of them.
struct WeightBuffers {
  std::shared_ptr<const GgufFile> file;
  std::vector<ggml_context_ptr> contexts;
  std::vector<ggml_backend_buffer_ptr> buffers;
};

class WeightLoader {
 public:
  WeightLoader(std::shared_ptr<const GgufFile> file, ggml_backend_dev_t device, WeightLayout layout);

  /// A matrix to multiply with, ne = [n_in, n_out]. Its data are there after finish(). Throws
  /// Error{kNotFound} if absent, Error{kBadFile} for another shape, Error{kUnsupported} for a type without a
  /// product.
  ggml_tensor* matrix(const std::string& name, int n_in, int n_out);
  /// The rows `ids` of a matrix, ne = [n_in, n_ids], as they are stored. Needs 0 <= id < n_out. Throws as
  /// matrix().
  ggml_tensor* rows(const std::string& name, int n_in, int n_out, std::span<const TokenId> ids);
  /// An f32 vector, ne = [n]; null if absent and optional.
  ggml_tensor* vector(const std::string& name, int n);
  ggml_tensor* find_vector(const std::string& name, int n);
  /// Rows to look up, ne = [width, n_rows]. Valid as long as the file.
  RowTable table(const std::string& name, int width, int n_rows);

  bool has(std::string_view name) const;
  /// Those asked for with matrix(), by name.
  const std::map<std::string, ggml_tensor*>& matrices() const { return matrices_; }

  /// Places every tensor asked for. Throws Error{kUnsupported} if the file has more, or memory does not
  /// suffice.
  WeightBuffers finish();
  /// The same, and lets tensors that nobody asked for be.
  WeightBuffers place_all();

 private:
  struct Gathered {  // rows that lie together in no file
    StoredTensor tensor;
    std::vector<std::byte> bytes;
  };
  struct Placement {
    ggml_tensor* tensor;
    const StoredTensor* stored;
  };
  struct Pool {  // tensors that share one buffer
    ggml_context_ptr context;
    std::vector<Placement> tensors;
  };

  const StoredTensor& require(const std::string& name, int n_in, int n_out);
  ggml_tensor* place(const StoredTensor& stored, ggml_backend_buffer_type_t type);
  ggml_backend_buffer_type_t matrix_buffer_type(const StoredTensor& stored) const;
  bool can_stay_mapped(const StoredTensor& stored) const;
  ggml_backend_buffer_ptr map_pool(const Pool& pool) const;
  ggml_backend_buffer_ptr fill_pool(const Pool& pool, ggml_backend_buffer_type_t type) const;

  std::shared_ptr<const GgufFile> file_;
  ggml_backend_dev_t device_;
  WeightLayout layout_;
  bool can_map_ = false;
  std::set<std::string, std::less<>> used_;
  std::map<std::string, ggml_tensor*> matrices_;
  std::deque<Gathered> gathered_;                     // until they are placed
  std::map<ggml_backend_buffer_type_t, Pool> pools_;  // key null: stays in the mapped file
};

}  // namespace tandem
