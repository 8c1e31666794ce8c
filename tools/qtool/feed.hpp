// Feeds of a wanted batch size, for bench.
#pragma once

#include <qtool/data.hpp>

namespace cli {

// True when every input takes any number of samples along axis 0.
bool takes_any_batch(const std::vector<qtool::InputSpec>& inputs);
// Samples [begin, begin + count) of a feed whose values have them along axis 0.
qtool::Feed slice(const qtool::Feed& feed, int64_t begin, int64_t count);
// `samples` samples of the source, repeated from the start when it has fewer. Chunks of other shapes than the
// first one are left out.
qtool::Feed glue(const qtool::SampleSource& source, int64_t samples);

}  // namespace cli
