// The screen's kernels and two that break a rule, by name, for ctypes.
#include "cuda_host.h"
#include "screen.cu"

static void part_at_a_barrier(int *out)
{
    if (threadIdx.x < 3) __syncthreads();
    out[0] = 1;
}

static void part_in_a_warp(int *out)
{
    if (threadIdx.x < 3) out[0] = static_cast<int>(__ballot_sync(0xffffffffu, true));
}

static void read_shared(int *out)
{
    __shared__ unsigned unwritten;
    out[0] = static_cast<int>(unwritten);
    unwritten = 7;
}

extern "C" const char *host_launch(const char *name, unsigned grid_x, unsigned grid_y, unsigned threads, void **arguments)
{
    const Index grid = {grid_x, grid_y};
#define KERNEL(function) \
    if (!strcmp(name, #function)) return host::launch(function, grid, threads, arguments)
    KERNEL(build_series);
    KERNEL(build_bounds);
    KERNEL(screen);
    KERNEL(screen_listing);
    KERNEL(rank_count);
    KERNEL(rank_cut);
    KERNEL(rank_collect);
    KERNEL(measure_reads);
    KERNEL(measure_float64);
    KERNEL(part_at_a_barrier);
    KERNEL(part_in_a_warp);
    KERNEL(read_shared);
    return "no such kernel";
}

extern "C" size_t host_size_of(const char *name)
{
    if (!strcmp(name, "Series")) return sizeof(Series);
    if (!strcmp(name, "Grid")) return sizeof(Grid);
    if (!strcmp(name, "Market")) return sizeof(Market);
    return 0;
}
