// Runs a .cu file on the CPU, as it is: each thread of a block is a fiber that gives way at every barrier and exchange.
//
// Shared memory is filled with poison before each block. What a GPU would leave undefined is an error here: a barrier
// that not all threads reach, lanes of a warp at different exchanges, a mask that is not the whole warp. Data races are
// not seen. Compile with -ffp-contract=off, as the device code is with -fmad=false.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <utility>
#include <vector>
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

#define __global__
#define __device__
#define __launch_bounds__(...)
#define __shared__ static __attribute__((section("cuda_shared")))
extern "C" char __start_cuda_shared[], __stop_cuda_shared[];

struct Index {
    unsigned x, y;
};

namespace host {

constexpr unsigned WARP = 32, STACK = 1 << 17, POISON = 0xfb;
enum Wait { RUNNING, WARP_BARRIER, BLOCK_BARRIER, DONE };

struct Fiber {
#if defined(__x86_64__)
    void *context;
#else
    ucontext_t context;
#endif
    std::vector<char> stack;
    unsigned thread, round;
    Wait wait;
    int operation;
};

inline std::vector<Fiber> fibers;
inline std::vector<uint64_t> slots;  // two per thread: a lane that runs ahead must not overwrite what others still read
inline Fiber *current;
inline std::function<void()> kernel;
inline char message[200];

#if defined(__x86_64__)
inline void *scheduler;
extern "C" void host_switch(void **save, void *load);
__asm__(
    ".globl host_switch\n.type host_switch,@function\nhost_switch:\n"
    "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
    "movq %rsp,(%rdi)\nmovq %rsi,%rsp\n"
    "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n");
inline void give_way() { host_switch(&current->context, scheduler); }
inline void resume() { host_switch(&scheduler, current->context); }
#else
inline ucontext_t scheduler;
inline void give_way() { swapcontext(&current->context, &scheduler); }
inline void resume() { swapcontext(&scheduler, &current->context); }
#endif

inline void run()
{
    kernel();
    current->wait = DONE;
    give_way();
}

inline void start(Fiber &fiber)
{
    fiber.wait = RUNNING;
    fiber.round = 0;
#if defined(__x86_64__)
    uintptr_t top = (reinterpret_cast<uintptr_t>(fiber.stack.data() + STACK) & ~uintptr_t(15)) - 8;  // as after a call
    void **frame = reinterpret_cast<void **>(top) - 7;
    memset(frame, 0, 8 * sizeof *frame);
    frame[6] = reinterpret_cast<void *>(run);
    fiber.context = frame;
#else
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.data();
    fiber.context.uc_stack.ss_size = STACK;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, run, 0);
#endif
}

inline void stop_at(Wait wait, int operation)
{
    current->wait = wait;
    current->operation = operation;
    give_way();
}

// Run one warp until each of its lanes is done or at a barrier of the block. False: it broke a rule.
inline bool run_warp(Fiber *lanes)
{
    for (;;) {
        unsigned waiting = 0, blocked = 0, done = 0;
        for (unsigned lane = 0; lane < WARP; ++lane) {
            current = lanes + lane;
            if (current->wait == RUNNING) resume();
            waiting += lanes[lane].wait == WARP_BARRIER;
            blocked += lanes[lane].wait == BLOCK_BARRIER;
            done += lanes[lane].wait == DONE;
        }
        if (!waiting) return true;
        bool same = waiting == WARP;
        for (unsigned lane = 1; lane < WARP; ++lane) same &= lanes[lane].operation == lanes[0].operation;
        if (!same) {
            snprintf(message, sizeof message, "a warp parted: %u lanes exchange, %u at a block's barrier, %u done",
                     waiting, blocked, done);
            return false;
        }
        for (unsigned lane = 0; lane < WARP; ++lane) lanes[lane].wait = RUNNING;
    }
}

inline bool run_block(unsigned threads)
{
    memset(__start_cuda_shared, POISON, static_cast<size_t>(__stop_cuda_shared - __start_cuda_shared));
    for (Fiber &fiber : fibers) start(fiber);
    for (;;) {
        unsigned blocked = 0;
        for (unsigned first = 0; first < threads; first += WARP)
            if (!run_warp(&fibers[first])) return false;
        for (Fiber &fiber : fibers) blocked += fiber.wait == BLOCK_BARRIER;
        if (!blocked) return true;
        if (blocked != threads) {
            snprintf(message, sizeof message, "%u of %u threads reach a block's barrier", blocked, threads);
            return false;
        }
        for (Fiber &fiber : fibers) fiber.wait = RUNNING;
    }
}

template <class T>
T exchange(unsigned mask, T mine, unsigned source, int operation)
{
    static_assert(sizeof mine <= sizeof(uint64_t));
    const unsigned lane = current->thread % WARP, base = current->thread - lane, turn = current->round++ % 2;
    memcpy(&slots[2 * current->thread + turn], &mine, sizeof mine);
    stop_at(WARP_BARRIER, mask == 0xffffffffu ? operation : -static_cast<int>(1 + lane));
    memcpy(&mine, &slots[2 * (base + (source < WARP ? source : lane)) + turn], sizeof mine);
    return mine;
}

inline unsigned lane() { return current->thread % WARP; }

}  // namespace host

inline Index gridDim, blockDim, blockIdx;
struct ThreadIndex {
    struct X {
        operator int() const { return static_cast<int>(host::current->thread); }
    } x;
};
inline ThreadIndex threadIdx;

inline void __syncthreads() { host::stop_at(host::BLOCK_BARRIER, 0); }
inline void __syncwarp(unsigned mask = 0xffffffffu) { host::exchange(mask, 0, host::lane(), 1); }
template <class T>
T __shfl_sync(unsigned mask, T value, int source)
{
    return host::exchange(mask, value, static_cast<unsigned>(source) % host::WARP, 2);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned by)
{
    return host::exchange(mask, value, host::lane() - by, 3);  // below lane 0 it wraps: each keeps its own
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, unsigned with)
{
    return host::exchange(mask, value, host::lane() ^ with, 4);
}
inline unsigned __ballot_sync(unsigned mask, bool predicate)
{
    const unsigned turn = host::current->round % 2, base = host::current->thread - host::lane();
    host::exchange(mask, static_cast<uint64_t>(predicate), host::lane(), 5);
    unsigned bits = 0;
    for (unsigned k = 0; k < host::WARP; ++k) bits |= static_cast<unsigned>(host::slots[2 * (base + k) + turn]) << k;
    return bits;
}
template <class T>
T atomicAdd(T *place, T value)
{
    T before = *place;
    *place += value;
    return before;
}
inline int __ffs(int word) { return __builtin_ffs(word); }
inline double __longlong_as_double(long long bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
inline long long __double_as_longlong(double value)
{
    long long bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

namespace host {

template <class... A, size_t... I>
std::function<void()> call(void (*function)(A...), void **arguments, std::index_sequence<I...>)
{
    return [=] { function(*static_cast<A *>(arguments[I])...); };
}

// Run a kernel; arguments as for cuLaunchKernel. Returns what went wrong, or nothing.
template <class... A>
const char *launch(void (*function)(A...), Index grid, unsigned threads, void **arguments)
{
    if (threads == 0 || threads % WARP) return "a block must be whole warps";
    fibers.resize(threads);
    slots.assign(2 * threads, 0);
    for (unsigned thread = 0; thread < threads; ++thread) {
        fibers[thread].thread = thread;
        fibers[thread].stack.resize(STACK);
    }
    kernel = call(function, arguments, std::index_sequence_for<A...>());
    gridDim = grid;
    blockDim = {threads, 1};
    for (blockIdx.y = 0; blockIdx.y < grid.y; ++blockIdx.y)
        for (blockIdx.x = 0; blockIdx.x < grid.x; ++blockIdx.x)
            if (!run_block(threads)) return message;
    return nullptr;
}

}  // namespace host
