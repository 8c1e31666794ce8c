// How threads inside one run wait for each other.
#pragma once

namespace cli {

// Waiting threads of OpenMP spin for milliseconds unless the environment says otherwise when the program starts;
// on a shared machine that costs whole time slices a layer. So this starts the program anew with an environment
// in which they spin for a quarter of a millisecond before they sleep: a sleeping thread takes as long to wake as a
// small layer takes to compute. Where a trial shows that they have no cores to themselves, it starts the program once
// more and they sleep at once. Returns where the user has chosen.
void start_with_short_waits(int threads);

}  // namespace cli
