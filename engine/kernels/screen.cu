// The screen for CUDA, in event form: one warp per combo, from cross to cross, nothing stored but its figures.
//
// Every decision is made in float64 and equals the CPU screen's (events.py, orders.py) to the last bit, so this must be
// compiled without contraction: -fmad=false. Notation as there: s = +1 long, -1 short; signed coordinates are s * price,
// where a stop always lies below and a take above. All 32 lanes of a warp hold the same state but where a comment says
// `each lane`. No header is included: NVRTC alone compiles this, and so does g++ with the tests' host shim.

#define LANES 32
#define ALL_LANES 0xffffffffu
#define BINS 65536
#define MOST_THREADS 128
#define BLOCKS_PER_SM 5

struct Series {  // EMAs of one timeframe, a row per period, NaN where not valid
    double *exact;  // [rows, windows]
    float *rounded;
    const double *close;  // [windows]
    int minutes, first_period, rows, windows;
};

struct Grid {  // the decision points of one fast timeframe, padded to whole blocks of 32; window -1: none known yet
    const int *at, *fast_window;  // [points]: bar; newest window known there
    const int *slow_window;       // [slow timeframes, points]
    float *fast_low, *fast_high;  // [rows, blocks]: extremes of each block, infinite where a value is missing
    float *slow_low, *slow_high;  // [slow timeframes * rows, blocks]
    int points, blocks;
};

struct Market {
    const Grid *grids;
    const Series *fast, *slow;
    const double *low, *high, *open;          // [bars], padded to whole tiles of 32: bars past the end touch nothing
    const double *tile_low, *tile_high;       // extremes of each tile
    const int *day, *charges;                 // [bars]: index of the UTC day; funding times up to the open
    const double *day_close, *day_charges;    // [days]: close of the last bar, and its funding times
    int bars, days, fast_tfs, slow_tfs;
};

struct Decision {
    int entry, exit, side, reason;
};

struct Work {  // steps of a whole warp that one combo took
    int groups, blocks;     // of 32 blocks by their extremes, of 32 points
    int bars, tiles;        // of 32 bars, of 32 tiles
    int marks, trades;      // of up to 32 days
};

enum Reason { SIGNAL, STOP, TAKE, END };

static __device__ double infinity() { return __longlong_as_double(0x7ff0000000000000LL); }
static __device__ double undefined() { return __longlong_as_double(0x7ff8000000000000LL); }
static __device__ double larger(double a, double b) { return a > b ? a : b; }
static __device__ int smaller(int a, int b) { return a < b ? a : b; }
static __device__ int lowest_bit(unsigned word) { return __ffs((int)word) - 1; }
static __device__ unsigned from_bit(int k) { return k < LANES ? ALL_LANES << k : 0u; }

// Each lane: the largest x of the lanes up to its own. reach: how many lanes matter.
static __device__ double running_max(double x, int lane, int reach)
{
    for (int d = 1; d < reach; d <<= 1) {
        double other = __shfl_up_sync(ALL_LANES, x, d);
        if (lane >= d) x = larger(x, other);
    }
    return x;
}

static __device__ double sum_of_lanes(double x)
{
    for (int d = LANES / 2; d; d >>= 1) x += __shfl_xor_sync(ALL_LANES, x, d);
    return x;
}

// ---- the market: series and their extremes ------------------------------------------------------------------------

// One lane per period, 32 windows at a time, so that rows are written in whole lines. Grid: [groups of 32 rows, series].
extern "C" __global__ void __launch_bounds__(LANES) build_series(const Series *all)
{
    __shared__ double closes[LANES];
    __shared__ double tile[LANES][LANES + 1];
    const Series of = all[blockIdx.y];
    const int lane = threadIdx.x, first = blockIdx.x * LANES;
    if (first >= of.rows) return;
    const int rows = smaller(LANES, of.rows - first), period = of.first_period + first + lane;
    const double a = 2.0 / (period + 1.0);
    double y = 0.0;
    for (int start = 0; start < of.windows; start += LANES) {
        const int count = smaller(LANES, of.windows - start);
        if (lane < count) closes[lane] = of.close[start + lane];
        __syncwarp();
        for (int k = 0; k < count; ++k) {
            y = start + k == 0 ? closes[k] : y + a * (closes[k] - y);
            tile[lane][k] = start + k < period - 1 ? undefined() : y;
        }
        __syncwarp();
        for (int row = 0; row < rows; ++row) {
            const long long place = (long long)(first + row) * of.windows + start + lane;
            if (lane < count) {
                of.exact[place] = tile[row][lane];
                of.rounded[place] = (float)tile[row][lane];
            }
        }
        __syncwarp();
    }
}

// Extremes of one row over the windows that one block of points can see; infinite where a value is missing.
static __device__ void bound(const Series &of, int row, int first, int last, float *low, float *high)
{
    float least = (float)infinity(), most = -least;
    if (first < 0 || last < 0 || first < of.first_period + row - 1) {
        *low = most;
        *high = least;
        return;
    }
    for (int w = first; w <= last; ++w) {
        const float value = of.rounded[(long long)row * of.windows + w];
        least = value < least ? value : least;
        most = value > most ? value : most;
    }
    *low = least;
    *high = most;
}

// A thread per row and block. Grid: [any, fast timeframes].
extern "C" __global__ void __launch_bounds__(128) build_bounds(const Market *market)
{
    const Grid grid = market->grids[blockIdx.y];
    const Series &fast = market->fast[blockIdx.y];
    const int slow_rows = market->slow[0].rows;
    const long long fast_count = (long long)fast.rows * grid.blocks;
    const long long count = fast_count + (long long)market->slow_tfs * slow_rows * grid.blocks;
    const long long step = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step) {
        const int block = (int)(i % grid.blocks), row = (int)(i / grid.blocks) - (i < fast_count ? 0 : fast.rows);
        const int first = block * LANES, last = first + LANES - 1;
        if (i < fast_count) {
            bound(fast, row, grid.fast_window[first], grid.fast_window[last], grid.fast_low + i, grid.fast_high + i);
        } else {
            const int tf = row / slow_rows;
            const int *window = grid.slow_window + (long long)tf * grid.points;
            const long long place = i - fast_count;
            bound(market->slow[tf], row % slow_rows, window[first], window[last], grid.slow_low + place,
                  grid.slow_high + place);
        }
    }
}

// ---- crosses ------------------------------------------------------------------------------------------------------

// One pair of series. It lies in shared memory, one to a warp: held in registers it would halve the warps that fit.
struct Pair {
    const int *at, *fast_window, *slow_window;
    const float *fast, *slow, *fast_low, *fast_high, *slow_low, *slow_high;
    const double *fast_exact, *slow_exact;
    int blocks;
};

// A walk over the decision points of a pair, from cross to cross.
struct Walk {
    const Pair *pair;
    int group;              // the 32 blocks at work begin here
    int point;              // the 32 points at work begin here
    unsigned up, down;      // blocks of the group that lie wholly above, below
    unsigned blocks_left;   // blocks of the group not yet passed
    unsigned above, below;  // points whose fast value is above, below the slow one
    int side;
};

static __device__ int place_of(const Series *all, int count, int minutes)
{
    for (int tf = 0; tf + 1 < count; ++tf)
        if (all[tf].minutes == minutes) return tf;
    return count - 1;
}

static __device__ void find_pair(const Market &m, const int *combo, Pair &pair)
{
    const int fast_tf = place_of(m.fast, m.fast_tfs, combo[0]), slow_tf = place_of(m.slow, m.slow_tfs, combo[2]);
    const Grid &grid = m.grids[fast_tf];
    const Series &fast = m.fast[fast_tf], &slow = m.slow[slow_tf];
    const long long row = combo[1] - fast.first_period, slow_row = combo[3] - slow.first_period;
    const long long bounds = ((long long)slow_tf * slow.rows + slow_row) * grid.blocks;
    pair.at = grid.at;
    pair.fast_window = grid.fast_window;
    pair.slow_window = grid.slow_window + (long long)slow_tf * grid.points;
    pair.fast = fast.rounded + row * fast.windows;
    pair.slow = slow.rounded + slow_row * slow.windows;
    pair.fast_exact = fast.exact + row * fast.windows;
    pair.slow_exact = slow.exact + slow_row * slow.windows;
    pair.fast_low = grid.fast_low + row * grid.blocks;
    pair.fast_high = grid.fast_high + row * grid.blocks;
    pair.slow_low = grid.slow_low + bounds;
    pair.slow_high = grid.slow_high + bounds;
    pair.blocks = grid.blocks;
}

// Compare 32 blocks by their extremes. False when there are no more.
static __device__ bool next_group(Walk &walk, Work &work, int lane)
{
    ++work.groups;
    walk.group += LANES;
    const Pair &pair = *walk.pair;
    if (walk.group >= pair.blocks) return false;
    const int block = walk.group + lane;
    const bool inside = block < pair.blocks;
    const bool up = inside && pair.fast_low[block] > pair.slow_high[block];
    const bool down = inside && pair.fast_high[block] < pair.slow_low[block];
    walk.up = __ballot_sync(ALL_LANES, up);
    walk.down = __ballot_sync(ALL_LANES, down);
    walk.blocks_left = __ballot_sync(ALL_LANES, inside);
    return true;
}

// Compare the 32 points of a block: rounding is monotone, so only equal float32 values are decided by the float64 ones.
static __device__ void compare_points(Walk &walk, int block, Work &work, int lane)
{
    ++work.blocks;
    const Pair &pair = *walk.pair;
    walk.point = block * LANES;
    const int f = pair.fast_window[walk.point + lane], s = pair.slow_window[walk.point + lane];
    bool above = false, below = false;
    if (f >= 0 && s >= 0) {
        const float fast = pair.fast[f], slow = pair.slow[s];
        above = fast > slow;
        below = fast < slow;
        if (fast == slow) {
            above = pair.fast_exact[f] > pair.slow_exact[s];
            below = pair.fast_exact[f] < pair.slow_exact[s];
        }
    }
    walk.above = __ballot_sync(ALL_LANES, above);
    walk.below = __ballot_sync(ALL_LANES, below);
}

// The bar at whose open the next cross acts, -1 if there is none; walk.side is the side it turns to.
static __device__ int next_cross(Walk &walk, Work &work, int lane)
{
    for (;;) {
        const unsigned turned = walk.side > 0 ? walk.below : walk.side < 0 ? walk.above : walk.above | walk.below;
        if (turned) {  // among points already compared
            const int k = lowest_bit(turned), before = walk.side;
            walk.side = (walk.above >> k) & 1u ? 1 : -1;
            walk.above &= from_bit(k + 1);
            walk.below &= from_bit(k + 1);
            if (before) return walk.pair->at[walk.point + k] + 1;
            continue;
        }
        walk.above = walk.below = 0u;
        const unsigned quiet = walk.side > 0 ? walk.up : walk.side < 0 ? walk.down : 0u;
        const unsigned blocks = walk.blocks_left & ~quiet;
        if (!blocks) {
            if (!next_group(walk, work, lane)) return -1;
            continue;
        }
        const int k = lowest_bit(blocks), before = walk.side;
        walk.blocks_left &= from_bit(k + 1);
        if (((walk.up | walk.down) >> k) & 1u) {  // wholly on the other side: it turned at the first point
            walk.side = (walk.up >> k) & 1u ? 1 : -1;
            if (before) return walk.pair->at[(walk.group + k) * LANES] + 1;
            continue;
        }
        compare_points(walk, walk.group + k, work, lane);
    }
}

// ---- exits --------------------------------------------------------------------------------------------------------

struct Position {  // stop, take: signed coordinates; stop is the one in force at the exit once that is known
    int s, entry, end, exit;
    double price, stop, take, trailing;
};

// The first bar from the entry on that touches the stop or the take, position.end if none. 32 bars, then 32 tiles.
static __device__ void find_exit(const Market &m, Position &p, Work &work, int lane)
{
    const bool is_long = p.s > 0, trails = p.trailing > 0.0;
    const double fixed = p.stop, factor = 1.0 - p.s * p.trailing;
    const int until = (p.end + LANES - 1) / LANES;
    double best = p.s * p.price;
    int tile = p.entry / LANES;
    for (;;) {
        ++work.bars;
        const int bar = tile * LANES + lane;
        const bool held = bar >= p.entry;
        const double low = m.low[bar], high = m.high[bar];
        const double worst = is_long ? low : -high, reach = held ? (is_long ? high : -low) : -infinity();
        double level = fixed, seen = reach;
        if (trails) {  // the stop follows the best price of the bars before
            seen = running_max(reach, lane, LANES);
            double before = __shfl_up_sync(ALL_LANES, seen, 1);
            if (lane == 0) before = -infinity();
            level = larger(fixed, larger(best, before) * factor);
        }
        unsigned touched = __ballot_sync(ALL_LANES, held && (worst <= level || reach >= p.take));
        if (touched) {
            const int first = lowest_bit(touched);
            p.stop = __shfl_sync(ALL_LANES, level, first);
            p.exit = smaller(tile * LANES + first, p.end);
            return;
        }
        if (trails) best = larger(best, __shfl_sync(ALL_LANES, seen, LANES - 1));
        for (++tile; ; tile += LANES) {
            if (tile >= until) {
                p.exit = p.end;
                return;
            }
            ++work.tiles;
            const bool inside = tile + lane < until;
            const double tile_low = inside ? m.tile_low[tile + lane] : infinity();
            const double tile_high = inside ? m.tile_high[tile + lane] : -infinity();
            const double tile_worst = is_long ? tile_low : -tile_high, tile_reach = is_long ? tile_high : -tile_low;
            level = fixed;
            if (trails) {  // at most this high anywhere in the tile: a tile found may turn out to hold no touch
                seen = running_max(tile_reach, lane, LANES);
                level = larger(fixed, larger(best, seen) * factor);
            }
            touched = __ballot_sync(ALL_LANES, tile_worst <= level || tile_reach >= p.take);
            const int first = touched ? lowest_bit(touched) : LANES;
            if (trails && first > 0) best = larger(best, __shfl_sync(ALL_LANES, seen, first - 1));
            if (touched) {
                tile += first;
                break;
            }
        }
    }
}

struct Fill {
    double price;
    int held_until, reason;  // last bar whose open the position was still held at
};

static __device__ Fill fill_of(const Market &m, const Position &p, double slippage)
{
    const int j = p.exit, s = p.s;
    const double leave = 1.0 - s * slippage;
    if (j == m.bars) return {m.day_close[m.days - 1] * leave, m.bars - 1, END};
    const double opened = m.open[j];
    if (j == p.end) return {opened * leave, j - 1, SIGNAL};
    if (j > p.entry) {
        if (s * opened <= p.stop) return {opened * leave, j - 1, STOP};
        if (s * opened >= p.take) return {opened, j - 1, TAKE};
    }
    const double worst = s > 0 ? m.low[j] : m.high[j];
    if (s * worst <= p.stop) return {s * p.stop * leave, j, STOP};
    return {s * p.take, j, TAKE};
}

// ---- money --------------------------------------------------------------------------------------------------------

struct Money {
    double fee, slippage, funding, leverage;
};

// Equity of one combo, and the moments of its daily returns by segment.
struct Account {
    double equity, mark, peak;  // mark: the last daily one
    int today, segment;         // days marked so far; the segment that the sums are of
    double s1, s2, s3, s4;      // each lane: sums of the powers of its returns
    double fall;                // each lane: its largest drawdown
    double total, squares;
    const int *edges;
    double *sums;               // [segments, 4], of this combo
};

static __device__ void close_segment(Account &account, int lane)
{
    const double s1 = sum_of_lanes(account.s1), s2 = sum_of_lanes(account.s2);
    const double s3 = sum_of_lanes(account.s3), s4 = sum_of_lanes(account.s4);
    account.total += s1;
    account.squares += s2;
    if (lane == 0) {
        double *out = account.sums + 4 * account.segment;
        out[0] = s1, out[1] = s2, out[2] = s3, out[3] = s4;
    }
    account.s1 = account.s2 = account.s3 = account.s4 = 0.0;
    ++account.segment;
}

// Book the daily marks of the first `count` lanes, in order of their days.
static __device__ void book(Account &account, double value, int day, int count, int lane)
{
    double before = __shfl_up_sync(ALL_LANES, value, 1);
    if (lane == 0) before = account.mark;
    bool mine = lane < count;
    const double r = mine && before > 0.0 ? value / before - 1.0 : 0.0, q = r * r;
    const double peak = larger(account.peak, running_max(value, lane, count));
    if (mine) account.fall = larger(account.fall, 1.0 - value / peak);
    account.peak = __shfl_sync(ALL_LANES, peak, count - 1);
    account.mark = __shfl_sync(ALL_LANES, value, count - 1);
    const int last = __shfl_sync(ALL_LANES, day, count - 1);
    for (;;) {
        const int edge = account.edges[account.segment + 1];
        if (mine && day < edge) {
            account.s1 += r, account.s2 += q, account.s3 += q * r, account.s4 += q * q;
            mine = false;
        }
        if (last < edge) return;
        close_segment(account, lane);
    }
}

// Carry the account through one position; returns the day of its exit. Equity 0 afterwards is ruin.
static __device__ int settle(const Market &m, Account &account, const Position &p, const Fill &fill, const Money &money,
                             Work &work, int lane)
{
    const int s = p.s, entered = m.day[p.entry];
    int left = m.day[smaller(p.exit, m.bars - 1)];
    const double equity = account.equity, pe = p.price, px = fill.price;
    const double slope = equity * money.leverage * s / pe, charge = equity * money.leverage * s * money.funding;
    const double base =
        equity * (1.0 - money.leverage * s - money.leverage * money.fee) + charge * m.charges[p.entry];
    const int flat = account.today < entered;  // of the days before, only the first moves: the others return 0
    const int from = flat ? entered : account.today, count = flat + left - from;
    for (int start = 0; start < count; start += LANES) {
        ++work.marks;
        const int i = start + lane;
        const bool before = flat && i == 0;
        const int day = before ? account.today : smaller(from + i - flat, m.days - 1);
        double value = before ? equity : base + slope * m.day_close[day] - charge * m.day_charges[day];
        const unsigned gone = __ballot_sync(ALL_LANES, i < count && !before && value <= 0.0);
        int booked = smaller(LANES, count - start);
        if (gone) {
            const int first = lowest_bit(gone);
            booked = first + 1;
            left = __shfl_sync(ALL_LANES, day, first);
            if (lane == first) value = 0.0;
            account.equity = 0.0;
        }
        book(account, value, day, booked, lane);
        if (gone) break;
    }
    if (account.equity > 0.0) {
        const double paid = charge * (m.charges[fill.held_until] - m.charges[p.entry]);
        account.equity = larger(
            equity * (1.0 + money.leverage * (s * (px / pe - 1.0) - money.fee * (1.0 + px / pe))) - paid, 0.0);
    }
    account.today = left;
    return left;
}

// ---- the screen ---------------------------------------------------------------------------------------------------

static __device__ Position enter(const Market &m, const int *combo, int s, int entry, int end, double slippage)
{
    Position p;
    p.s = s, p.entry = entry, p.end = end, p.exit = -1;
    p.price = m.open[entry] * (1.0 + s * slippage);
    p.stop = s * (p.price * (1.0 - s * (combo[4] / 10000.0)));
    p.take = combo[5] > 0 ? s * (p.price * (1.0 + s * (combo[5] / 10000.0))) : infinity();
    p.trailing = combo[6] / 10000.0;
    return p;
}

// Sharpe, total return and largest daily drawdown of one combo.
static __device__ void measure(Account &account, int days, int segments, double *values, int lane)
{
    if (account.today < days) book(account, account.equity, account.today, 1, lane);
    while (account.segment < segments) close_segment(account, lane);
    double fall = account.fall;
    for (int d = LANES / 2; d; d >>= 1) fall = larger(fall, __shfl_xor_sync(ALL_LANES, fall, d));
    if (lane) return;
    const double total = account.total;
    const double variance = days > 1 ? (account.squares - total * total / days) / (days - 1) : 0.0;
    values[0] = variance > 0.0 ? total / days / sqrt(variance) * sqrt(365.0) : undefined();
    values[1] = account.equity - 1.0;
    values[2] = fall;
}

struct Output {  // of a launch, a row per combo
    const int *edges;  // [segments + 1]: day indexes
    int segments;
    double *values;    // [combos, 3]: Sharpe, total return, largest daily drawdown
    int *trades;       // [combos, segments], by day of exit
    double *sums;      // [combos, segments, 4]
    Decision *listed;  // [combos, room]: the first decisions
    int room;
    Work *work;        // [combos]
};

template <bool LISTING>
static __device__ void screen_one(const Market &m, const Pair &pair, const int *combo, const Money &money,
                                  const Output &out, long long k, int lane)
{
    Account account = {1.0, 1.0, 1.0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, out.edges,
                       out.sums + 4 * out.segments * k};
    Walk walk = {&pair, -LANES, 0, 0u, 0u, 0u, 0u, 0u, 0};
    Work work = {0, 0, 0, 0, 0, 0};
    int *trades = out.trades + out.segments * k;
    const int allowed = combo[7];
    int entry = -1, s = 0, count = 0, segment = 0;
    for (bool more = true; more && account.equity > 0.0;) {
        const int bar = next_cross(walk, work, lane);
        more = bar >= 0;
        if (entry >= 0) {
            Position p = enter(m, combo, s, entry, more ? bar : m.bars, money.slippage);
            find_exit(m, p, work, lane);
            const Fill fill = fill_of(m, p, money.slippage);
            const int left = settle(m, account, p, fill, money, work, lane);
            for (; out.edges[segment + 1] <= left; ++segment, count = 0)
                if (lane == 0) trades[segment] = count;
            ++count;
            if (LISTING && lane == 0 && work.trades < out.room)
                out.listed[out.room * k + work.trades] = {p.entry, smaller(p.exit, m.bars - 1), p.s, fill.reason};
            ++work.trades;
        }
        s = walk.side;
        entry = allowed == 0 || allowed == s ? bar : -1;
    }
    for (; segment < out.segments; ++segment, count = 0)
        if (lane == 0) trades[segment] = count;
    measure(account, m.days, out.segments, out.values + 3 * k, lane);
    if (LISTING && lane == 0) out.work[k] = work;
}

// A warp takes every so-manieth combo. pairs: one for each warp of the block, in shared memory.
template <bool LISTING>
static __device__ void screen_all(const Market &m, Pair *pairs, const int *combos, int count, const Money &money,
                                  const Output &out)
{
    const int lane = threadIdx.x % LANES, warp = threadIdx.x / LANES, warps = blockDim.x / LANES;
    const long long step = (long long)gridDim.x * warps;
    for (long long k = (long long)blockIdx.x * warps + warp; k < count; k += step) {
        __syncwarp();
        if (lane == 0) find_pair(m, combos + 8 * k, pairs[warp]);
        __syncwarp();
        screen_one<LISTING>(m, pairs[warp], combos + 8 * k, money, out, k, lane);
    }
}

// combos int32 [count, 8]. Any number of blocks of 1 to 4 warps; the results do not depend on it.
extern "C" __global__ void __launch_bounds__(MOST_THREADS, BLOCKS_PER_SM)
screen(const Market *market, const int *combos, int count, double fee, double slippage, double funding, double leverage,
       const int *edges, int segments, double *values, int *trades, double *sums)
{
    __shared__ Pair pairs[MOST_THREADS / LANES];
    const Money money = {fee, slippage, funding, leverage};
    const Output out = {edges, segments, values, trades, sums, 0, 0, 0};
    screen_all<false>(*market, pairs, combos, count, money, out);
}

// The same, which also tells what it decided and how much work it was.
extern "C" __global__ void __launch_bounds__(MOST_THREADS)
screen_listing(const Market *market, const int *combos, int count, double fee, double slippage, double funding,
               double leverage, const int *edges, int segments, double *values, int *trades, double *sums,
               Decision *listed, int room, Work *work)
{
    __shared__ Pair pairs[MOST_THREADS / LANES];
    const Money money = {fee, slippage, funding, leverage};
    const Output out = {edges, segments, values, trades, sums, listed, room, work};
    screen_all<true>(*market, pairs, combos, count, money, out);
}

// ---- ranking ------------------------------------------------------------------------------------------------------

// 65536 bins in the order of their numbers; -1 for a combo that may not rank: too few trades, no Sharpe, too deep a fall.
static __device__ int bin_of(const double *values, int trades, int min_trades, double limit)
{
    if (trades < min_trades || values[0] != values[0] || !(values[2] <= limit)) return -1;
    const long long bits = __double_as_longlong(values[0]);
    const unsigned long long ordered = bits < 0 ? ~(unsigned long long)bits : (unsigned long long)bits | 1ULL << 63;
    return (int)(ordered >> 48);
}

// histogram [BINS], zero before.
extern "C" __global__ void rank_count(const double *values, const int *trades, int count, int min_trades, double limit,
                                      int *histogram)
{
    for (int k = blockIdx.x * blockDim.x + threadIdx.x; k < count; k += gridDim.x * blockDim.x) {
        const int bin = bin_of(values + 3 * (long long)k, trades[k], min_trades, limit);
        if (bin >= 0) atomicAdd(histogram + bin, 1);
    }
}

// cut[0]: the highest bin with at least `wanted` combos in it and above, 0 if there are fewer; cut[1]: how many may rank;
// cut[2]: 0, the counter of rank_collect. One block of 256 threads.
extern "C" __global__ void __launch_bounds__(256) rank_cut(const int *histogram, int wanted, int *cut)
{
    __shared__ int counts[256];
    const int t = threadIdx.x, share = BINS / 256;
    int own = 0;
    for (int k = 0; k < share; ++k) own += histogram[t * share + k];
    counts[t] = own;
    __syncthreads();
    if (t) return;
    int feasible = 0, seen = 0, part = 255;
    for (int k = 0; k < 256; ++k) feasible += counts[k];
    while (part > 0 && seen + counts[part] < wanted) seen += counts[part--];
    int bin = part * share + share - 1;
    while (bin > part * share && seen + histogram[bin] < wanted) seen += histogram[bin--];
    cut[0] = bin, cut[1] = feasible, cut[2] = 0;
}

// numbers, sharpe [count]: the combos at or above the cut, in any order; cut[2] counts them.
extern "C" __global__ void rank_collect(const double *values, const int *trades, int count, int min_trades, double limit,
                                        int *cut, int *numbers, double *sharpe)
{
    for (int k = blockIdx.x * blockDim.x + threadIdx.x; k < count; k += gridDim.x * blockDim.x) {
        const int bin = bin_of(values + 3 * (long long)k, trades[k], min_trades, limit);
        if (bin >= 0 && bin >= cut[0]) {
            const int place = atomicAdd(cut + 2, 1);
            numbers[place] = k;
            sharpe[place] = values[0 + 3 * (long long)k];
        }
    }
}

// ---- rates of the device, for benchmarks --------------------------------------------------------------------------

// Read `count` pairs over and over: with a buffer that the caches hold, their rate.
extern "C" __global__ void measure_reads(const double *pairs, int count, int rounds, double *out)
{
    double first = 0.0, second = 0.0;
    for (int round = 0; round < rounds; ++round)
        for (int k = blockIdx.x * blockDim.x + threadIdx.x; k < count; k += gridDim.x * blockDim.x) {
            first += pairs[2 * k];
            second += pairs[2 * k + 1];
        }
    if (first + second == 1.5) out[0] = first;  // never: or nothing would be read
}

// 8 * rounds multiplications and as many additions in float64, by every thread.
extern "C" __global__ void measure_float64(double factor, int rounds, double *out)
{
    double x[8];
    for (int k = 0; k < 8; ++k) x[k] = threadIdx.x + k;
    for (int round = 0; round < rounds; ++round)
        for (int k = 0; k < 8; ++k) x[k] = x[k] * factor + 1.0;
    double sum = 0.0;
    for (int k = 0; k < 8; ++k) sum += x[k];
    if (sum == 1.5) out[0] = sum;
}
