/* mld_closure: a sub-grid closure served to hydrocodes. This header is the manual of the C interface.

   Life of a closure

       mld_options options = MLD_OPTIONS_INIT;
       mld_closure *closure = NULL;
       options.bundle = "model/bundle";
       mld_open(&options, &closure);
       mld_register_patches(closure, n, ids, ny, nx, patches, 0.0, MLD_COPY);
       for each step:
           mld_begin_step(closure, t, dt);
           mld_advance(closure, n, ids, inputs, 1, outputs, 3);     any number of times
           mld_commit(closure);     or mld_rollback(closure), as if the step had never begun
       mld_close(&closure);

   Results. Every function returns MLD_OK or an mld_error. After an error mld_message() holds one sentence
   that names value, limit and cure, and mld_message_cells() the cells concerned. Where mld_recoverable(error)
   is true the call has changed nothing: repair what the sentence names and go on, or roll the step back. Else
   only mld_close is left to do. No function ends the program, writes to the terminal or throws.

   Units are SI throughout. Cells are named by 64-bit ids that the host chooses and that never change.

   Memory. Arrays belong to the host and are borrowed for the length of the call, unless a function says
   otherwise. Nothing returned has to be freed.

   MPI. With a communicator in the options (MPI_Comm_c2f; the closure duplicates it) the functions marked
   "Collective" must be called by all its ranks, in the same order; each rank passes the cells it owns, which
   may be none. An error on one rank is returned on all. Ranks that make different calls at once all get
   MLD_E_ORDER, with nothing changed; where a rank does not come within the option `timeout`, the others, and
   that one when it comes, get MLD_E_RANKS, with its number in the message. mld_advance and mld_wait are the
   same call in this. t and dt of a step may differ by rounding: those of rank 0 count. Without a communicator
   every process has a closure of its own, and MPI may be initialised before or after, or not at all.
   MPI_THREAD_FUNNELED is enough: call from the thread that initialised MPI. Close before MPI_Finalize; a close
   after it, or none, is harmless.

   Threads. Any thread may call; calls are made one after the other. Messages belong to the thread that made
   the call. Floating point traps and the number of OpenMP threads are put back before a call returns.

   Signals. What the host has said of each signal stands before and after every call: Python and its modules
   handle none. A host that runs Python itself has what its Python says.

   Fork. A process that is to fork does so before its first mld_open; each side then opens its own closures.
   In a child of a process that has called mld_open every call gives MLD_E_PYTHON and does nothing else, but
   mld_close, which forgets the handle; the child may go on without closures, or start a program with exec.

   Points. A bundle of burn curves (fact "points" is 1) serves material points. A patch has "patch.parts"
   column parts of equal width, numbered along the shock, and each cell is a point of one of them, or of the
   whole patch: mld_register with `parts`. A patch includes a halo of "patch.halo" pixels ahead of its first
   part, at least x, where the shock comes from: true material of the sample, which belongs to no part. So
   patches that lie one behind the other overlap by the halo. Points of a patch are registered with equal
   patches, or with equal offsets in an image, and what the network saw of the patch serves them all. The load
   of a point is told by MLD_ENTROPY, the thermal energy in J/kg that its solid would have at its density at
   rest,

       A = (e - e_cold(rho)) / (rho / rho0)^Gruneisen

   with the energy e (J/kg) and density rho of the solid and its cold curve e_cold, the energy at the same
   density on the isentrope through the state at rest. A rises through a shock and is constant along
   isentropes, so that it does not fall when the shock has passed. A host that burns a part of the cell passes
   that of the solid which is left. Not negative; 0 for solid at rest. A bundle that cannot tell a load by it
   refuses it.

   Device memory. Inputs and outputs may lie on a device: set `device` to its DLPack number, and
   `device_index`. They are handed on through DLPack, without a copy on the bridge's part. The host
   synchronises its own streams before the call.

   Settings. The member `settings` of mld_options is a text in TOML, or NULL. Strings stand in single or double
   quotes; an option whose default is "none" is left out to have that default. An unknown key is an error that
   names the near match. For example

       device = 'cpu'
       threads = 1
       readout = 'decode'
       engine.patch_shape = [320, 480]
       policy.on_extrapolation = 'fallback'

   A group may also be a table of its own: the line [engine], and patch_shape = [320, 480] below it. `load` and
   `readout` may be a word in place of a table, which is then their kind.

   Options of the closure and of the bridge:
     device: auto | cpu | cuda | cuda:<index>, default auto
         where the networks run; auto is the first GPU, or else the CPU
     precision: fp32 | bf16 | bf16-decode, default fp32
         of the networks; bf16-decode keeps the evolution of latents in fp32
     serving: auto | all | 1 per node | 1 per device, default auto
         with a communicator: which ranks run the networks; auto takes one for each GPU, or all without GPUs
     threads: int, default the cores of this process, shared by the processes of the machine
         CPU threads of the networks
     timeout: float (s), default 600.0
         with a communicator: longest wait for a rank that does not come to a collective call; inf for ever
     capture: string or none, default none
         file that receives the cells that needed a policy, as data to learn from; NAME-rankN for each rank
     failures: string or none, default none
         folder that receives the inputs of calls that failed; mld_closure.replay in Python repeats them
     log_file: string or none, default none
         file that the messages of the package are appended to; the terminal stays silent
     log_level: debug | info | warning | error, default info
         least level of the messages in log_file

   Options in groups, as declared in Python:
     load.kind: auto | pressure | incoming wave | entropy, default auto
         state of the macro cell that the load is matched to: the solid shock of equal `pressure`, the
         `incoming wave` of equal p + rho0 us u, which needs velocities, or the porous shock that leaves the
         solid with this `entropy`; `auto` takes the entropy where it is given, else the wave where it can
     load.p_arrival: float or none (Pa), default none
         pressure that marks the arrival; none is that of training, or a fifth of the weakest trained shock
         pressure
     load.window: float or none (s), default none
         longest time over which a load is sought; none is the time that the weakest trained shock takes to
         cross a patch, or half of one for points
     load.updates: int, default 1
         equal parts of the window after each of which a cell may start, or start anew, with its load so far
     load.history_exponent: float or none, default none
         m in d tau = clip(p / P_s, 0, 2)^m dt, or clip(p / p_frame, 1/4, 4)^m dt for points; 0 makes a
         cell's clock run with time, none is 1, or what the bundle says for points
     readout.kind: auto | curves | head | decode, default auto
         `curves` evaluates the whole burn curve of a point at once, `head` reads latents with a small
         network, `decode` decodes fields and measures them; `auto` takes curves where the bundle has them,
         else the head
     readout.threshold: float (K), default 875.0
         temperature above which a pixel is a hot spot (for `decode`)
     readout.fields: list of str or none, default none
         fields that `decode` decodes; none for all. A quantity that needs another field is NaN
     readout.read_every: int (frames), default 1
         model frames from one that is read to the next; between them readings are linear in time
     engine.scale: meso | micro, default meso
         the model that serves; `micro` where a patch is one building block
     engine.patch_shape: list of int or none (pixels), default none
         (ny, nx) of every patch; none takes that of the first patches registered
     engine.horizon: int or none (frames), default none
         frames for which the model is trusted; none takes the bundle's
     engine.micro_batch: int (cells), default 8
         cells that the networks see at once
     engine.reproducible: bool, default false
         every batch is padded to `micro_batch`, so that a cell gives the same bits in any company
     engine.compiled: str or none, default none
         file with the model's step compiled for this machine: native code, from a maker you trust
     policy.on_extrapolation: clamp | fallback | error, default clamp
         a load or a patch unlike those trained on
     policy.on_bad_result: clamp | fallback | error, default clamp
         a result that is not finite, out of bounds, or not monotone
     policy.on_uncertain: clamp | fallback | error, default clamp
         an uncertainty above `max_uncertainty`
     policy.on_weak_load: reset | extrapolate, default reset
         a load below the trained range: the cell is idle again, or `on_extrapolation` decides
     policy.max_uncertainty: float or none (1/s), default none
         uncertainty of the burn rate that counts as too much; none for no limit
     policy.max_burn_step: float, default 0.05
         change of a burned fraction that `dt_max` allows in one step
     shadow.readout: float, default 0.0
         share that is read with the other readout too
     shadow.fallback: float, default 0.0
         share that the fallback computes too
   End of the options in groups.

   Compiles as C99 and as C++11 and later. */
#ifndef MLD_CLOSURE_CLOSURE_H
#define MLD_CLOSURE_CLOSURE_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define MLD_API __attribute__((visibility("default")))
#else
#define MLD_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Changes when an existing function, type or number changes its meaning. Compare it with mld_abi() where the
   program may find another library at run time than that it was compiled with; closure.hpp does so. */
#define MLD_ABI 2

/* A closure. Copies of the pointer are allowed; after mld_close they are recognised as stale. */
typedef struct mld_closure mld_closure;

typedef enum mld_error {
  MLD_OK = 0,
  /* recoverable: nothing was changed */
  MLD_E_ARGUMENT = 1, /* null pointer, length, unknown option, value out of range */
  MLD_E_ORDER = 2,    /* call out of order, time going back */
  MLD_E_CELLS = 3,    /* unknown, repeated or failing cells; see mld_message_cells */
  MLD_E_FILE = 4,     /* bundle, specimen or restart missing, unreadable, or not fitting */
  MLD_E_MEMORY = 5,   /* host or device memory, even for one cell at a time */
  MLD_E_MPI = 6,      /* wrong mpirun, mpi4py missing or of another MPI */
  /* not recoverable */
  MLD_E_HANDLE = 101,  /* null, closed or damaged handle */
  MLD_E_PYTHON = 102,  /* no Python, one without the package, or that of the parent after a fork */
  MLD_E_INTERNAL = 103, /* a defect; the message says where */
  MLD_E_RANKS = 104     /* a rank did not come to a collective call in time, or has closed the closure */
} mld_error;

/* What an array holds. Inputs and outputs are double; the status is int64_t. */
typedef enum mld_quantity {
  /* inputs */
  MLD_PRESSURE = 1, /* Pa, at the end of the step; needed; 0 for material in tension */
  MLD_VELOCITY = 2, /* m/s, along the shock, against the material ahead; without it loads go by pressure */
  MLD_MASS = 3,     /* kg, of the cell's material, for the ledger; 1 kg each without it */
  MLD_ENTROPY = 4,  /* J/kg, of the cell's solid, by which loads go where it is given; see Points */
  /* outputs */
  MLD_BURNED_FRACTION = 101, /* of the material that belongs to the cell */
  MLD_BURN_RATE = 102, /* 1/s; rates are averages over the step: rate times dt is the change returned */
  MLD_HOTSPOT_AREA_FRACTION = 103,
  MLD_HOTSPOT_AREA_RATE = 104,        /* 1/s */
  MLD_HOTSPOT_TEMPERATURE = 105,      /* K */
  MLD_HOTSPOT_TEMPERATURE_RATE = 106, /* K/s */
  MLD_MEAN_TEMPERATURE = 107,         /* K */
  MLD_MEAN_PRESSURE = 108,            /* Pa */
  MLD_POROSITY = 109,
  MLD_UNCERTAINTY = 110, /* 1/s, of the burn rate: what set-aside cases of about this load and time showed, one
                            constant where a bundle has no table of these known errors; more for a patch or a
                            load unlike those of training; NaN where it is not known */
  MLD_STATUS = 111,      /* int64_t: MLD_IS_... flags; 0 for a cell that waits for its shock */
  MLD_BURNED_INCREMENT = 112, /* change of the burned fraction over the step */
  MLD_HEAT_INCREMENT = 113,   /* J/kg, released over the step; NaN where the bundle does not state its heat */
  MLD_BURNED_MASS = 114       /* kg, burned since the cell was registered; by mld_read only */
} mld_quantity;

/* Flags of MLD_STATUS: what a cell is, what was done about it, and why. */
#define MLD_IS_LOADING ((int64_t)1 << 0)
#define MLD_IS_ACTIVE ((int64_t)1 << 1)
#define MLD_IS_BURNED ((int64_t)1 << 2)
#define MLD_IS_BEYOND_HORIZON ((int64_t)1 << 3)
#define MLD_IS_EXTRAPOLATING ((int64_t)1 << 8)
#define MLD_IS_FALLBACK ((int64_t)1 << 9)
#define MLD_IS_REJECTED ((int64_t)1 << 10)
#define MLD_WHY_LOAD_LOW ((int64_t)1 << 16)
#define MLD_WHY_LOAD_HIGH ((int64_t)1 << 17)
#define MLD_WHY_NOT_FINITE ((int64_t)1 << 18)
#define MLD_WHY_OUT_OF_BOUNDS ((int64_t)1 << 19)
#define MLD_WHY_NOT_MONOTONE ((int64_t)1 << 20)
#define MLD_WHY_UNCERTAIN ((int64_t)1 << 21)
#define MLD_WHY_MICROSTRUCTURE ((int64_t)1 << 22) /* its patch is unlike those of training */
#define MLD_WHY_PATCH_SIZE ((int64_t)1 << 23)     /* its patch has another size than those of training */

/* Where an array lies: 0, or a device type of DLPack (1 is host memory handed on through DLPack). */
enum { MLD_HOST = 0, MLD_HOST_DLPACK = 1, MLD_CUDA = 2, MLD_ROCM = 10 };

/* One number a cell. stride: bytes from one cell to the next, 0 for packed; so a field of an array of structs
   can be passed as it lies. Through DLPack the stride is a multiple of 8. scale: the host's unit in SI, such as
   1e9 for GPa; 0 for SI. Inputs are multiplied by it, outputs divided; the status has none. */
typedef struct mld_input {
  int32_t quantity; /* mld_quantity */
  int32_t device;   /* MLD_HOST, MLD_CUDA, ... */
  const void* data;
  int64_t stride;
  int64_t device_index;
  double scale;
} mld_input;

typedef struct mld_output {
  int32_t quantity;
  int32_t device;
  void* data;
  int64_t stride;
  int64_t device_index;
  double scale;
} mld_output;

/* What becomes of patches or an image after the call that registers them. */
enum {
  MLD_COPY = 0,  /* copied: the host may free them */
  MLD_BORROW = 1 /* the host leaves them as they are until the cells are unregistered or the closure closed */
};

/* Columns of `before` and `after` of a fallback, and how many there are. */
enum {
  MLD_COLUMN_HOTSPOT_AREA_FRACTION = 0,
  MLD_COLUMN_HOTSPOT_TEMPERATURE = 1, /* K */
  MLD_COLUMN_BURNED_FRACTION = 2,
  MLD_COLUMN_MEAN_TEMPERATURE = 3, /* K */
  MLD_COLUMN_MEAN_PRESSURE = 4,    /* Pa */
  MLD_COLUMN_POROSITY = 5,
  MLD_FALLBACK_QUANTITIES = 6
};

/* Physics of the host for cells that a policy hands to it; n cells, one number each. up: load (m/s).
   shock_pressure, pressure: Pa, that of the captured shock and that at the end of the step. since, until: the
   cell's clock (s) at the beginning and at the end of what is asked for. dt: the real time (s) between them.
   The clock of a cell runs faster than time where its pressure is above its shock pressure, and slower below
   (option load.history_exponent): curves known for one shock are read at since and until, and a law that takes
   the pressure itself is integrated over dt. For a cell that starts in this step dt counts from its arrival,
   which may lie before the step. before, after: n rows of MLD_FALLBACK_QUANTITIES, at since and at until.
   after: to be filled; NaN for what is not known; the burned fraction must be known.
   Must depend on its arguments alone. Called on the thread of the closure's call, on the rank that owns the
   cells, floating point traps off.
   Returns 0, or anything else for failure; then the closure's call gives MLD_E_CELLS with these cells, as it
   does where `after` has a number out of bounds or a burned fraction below `before`. A call to the same
   closure from here gives MLD_E_ORDER. */
typedef int (*mld_fallback)(void* data, int64_t n, const int64_t* ids, const double* up,
                            const double* shock_pressure, const double* pressure, const double* since,
                            const double* until, const double* dt, const double* before, double* after);

/* How to open a closure. Start from MLD_OPTIONS_INIT.

   Later versions of this header may add members at the end. A library takes the options of older and of newer
   headers of the same MLD_ABI: a member that the host's header lacks counts as 0 or NULL; a member that the
   library does not know must be 0 or NULL, else mld_open gives MLD_E_ARGUMENT. */
typedef struct mld_options {
  size_t size;        /* sizeof(mld_options) as the host was compiled */
  const char* bundle; /* path or name of a bundle */
  const char* settings; /* TOML as described above under Settings, or NULL */
  int32_t has_comm;      /* 0: this process alone */
  int32_t comm;          /* else MPI_Comm_c2f(communicator) */
  mld_fallback fallback; /* or NULL */
  void* fallback_data;
  int64_t id_bits; /* of all ids that are passed: 0 or 64, or 32 for lists of int32_t, passed as MLD_IDS(list) */
} mld_options;

#define MLD_OPTIONS_INIT {sizeof(mld_options), NULL, NULL, 0, 0, NULL, NULL, 0}

/* A list of int32_t ids, for closures opened with id_bits = 32. */
#define MLD_IDS(list) ((const int64_t*)(const void*)(list))

/* Open a closure. Collective on the communicator.
   @pre closure points to a pointer. @post *closure is the closure, or NULL after an error.
   The first call in a process starts Python and loads torch (seconds) unless the program runs Python already.
 */
MLD_API int mld_open(const mld_options* options, mld_closure** closure);

/* Close it, drop an open step, give its memory back, and set *closure to NULL. Collective.
   NULL, or a pointer to NULL, is harmless; a copy of a closed handle gives MLD_E_HANDLE. */
MLD_API int mld_close(mld_closure** closure);

/* Register cells at rest, each with its own patch: patches[n][ny][nx], solid fraction from 0 (void) to 1, row
   by row from least y, x running fastest. pixel: its side in m, checked against the bundle's; 0 skips that.
   ownership: MLD_COPY or MLD_BORROW. @pre no step is open. Collective. */
MLD_API int mld_register_patches(mld_closure* closure, int64_t n, const int64_t* ids, int64_t ny, int64_t nx,
                                 const float* patches, double pixel, int32_t ownership);

/* Register cells at rest in an image of the whole sample: image[ny][nx], offsets[n][2] = (x, y) in m of the
   corner of least x and y of each cell's patch. @pre settings give patch_shape. Collective. */
MLD_API int mld_register_image(mld_closure* closure, int64_t n, const int64_t* ids, int64_t ny, int64_t nx,
                               const float* image, double pixel, const double* offsets, int32_t ownership);

/* The same with the image in a file: HDF5, .npy or a grey picture, read as it is needed. dataset: of an HDF5
   file, or NULL. pixel: 0 where the file states it. Collective. */
MLD_API int mld_register_file(mld_closure* closure, int64_t n, const int64_t* ids, const char* path,
                              const char* dataset, double pixel, const double* offsets);

/* Cells to be registered, in any of the three ways above, as points of parts of their patches where that is
   wanted. Start from MLD_REGISTRATION_INIT and set what the cells have: ids, and `patches`, or `image` and
   `offsets`, or `path` and `offsets`. Members may be added at the end, as to mld_options, and count as 0 or
   NULL for hosts whose header lacks them. */
typedef struct mld_registration {
  size_t size; /* sizeof(mld_registration) as the host was compiled */
  int64_t n;
  const int64_t* ids;    /* [n] */
  int64_t ny, nx;        /* pixels of a patch, or of the image */
  const float* patches;  /* [n][ny][nx], or NULL */
  const float* image;    /* [ny][nx], or NULL */
  const char* path;      /* of an image file, or NULL */
  const char* dataset;   /* of an HDF5 file, or NULL */
  const double* offsets; /* [n][2] in m, in image or file */
  double pixel;          /* m; 0 where it is not known or the file states it */
  int64_t ownership;     /* MLD_COPY or MLD_BORROW, of patches or image */
  const int32_t* parts;  /* [n], from 0 to "patch.parts" - 1, or -1 for the whole patch; NULL: whole patches */
} mld_registration;

#define MLD_REGISTRATION_INIT \
  {sizeof(mld_registration), 0, NULL, 0, 0, NULL, NULL, NULL, NULL, NULL, 0.0, MLD_COPY, NULL}

/* Register cells at rest. A rank without cells leaves all members as they are, but image or path, which all
   ranks give. @pre no step is open; for image and path settings give patch_shape. Collective. */
MLD_API int mld_register(mld_closure* closure, const mld_registration* registration);

/* Forget cells. @pre no step is open. Collective. */
MLD_API int mld_unregister(mld_closure* closure, int64_t n, const int64_t* ids);

/* Tell that cells are now owned by other ranks: new_owner[n], ranks of the communicator. @pre no step is
   open. Collective; called by the old owner. */
MLD_API int mld_migrate(mld_closure* closure, int64_t n, const int64_t* ids, const int32_t* new_owner);

/* Open the step from t to t + dt (s). @pre none is open; t is not before the end of the last committed step.
   Collective. */
MLD_API int mld_begin_step(mld_closure* closure, double t, double dt);

/* Take n cells from the committed state to the end of the open step. ids NULL: all registered cells in the
   order of registration. May be called any number of times: it always starts from the committed state, so
   equal inputs give equal bits; the last call for a cell counts, and a cell left out stands still.
   @post the outputs asked for are written; after an error they are not touched. Collective. */
MLD_API int mld_advance(mld_closure* closure, int64_t n, const int64_t* ids, const mld_input* inputs,
                        int32_t n_inputs, const mld_output* outputs, int32_t n_outputs);

/* Hand in a call to be made together with others by mld_wait. No cell may be in two of them: that, and values
   that mld_advance would refuse, are refused here. Inputs are read now, outputs stay borrowed until mld_wait
   returns. Not collective. */
MLD_API int mld_submit(mld_closure* closure, int64_t n, const int64_t* ids, const mld_input* inputs,
                       int32_t n_inputs, const mld_output* outputs, int32_t n_outputs);

/* Make all calls handed in as one; after an error they are dropped. Collective. */
MLD_API int mld_wait(mld_closure* closure);

/* Make what the step found the committed state. @pre a step is open, and no call that was handed in waits.
   @post none is. Collective. */
MLD_API int mld_commit(mld_closure* closure);

/* Drop what the step found. @pre a step is open. @post the committed state is that before begin_step.
 * Collective. */
MLD_API int mld_rollback(mld_closure* closure);

/* Longest step (s) over which, by the last advance or wait, no cell's burned fraction moves more than
   policy.max_burn_step; infinity where nothing burns or nothing was advanced. A cell that starts in a step,
   and burns at once what it missed, counts from the next step on. Not collective; with a communicator every
   rank gets the same number, the least of all. */
MLD_API int mld_dt_max(mld_closure* closure, double* dt);

/* A count or timing by name: "cells", "cells.active" (idle, loading, burned, beyond_horizon), "steps",
   "calls", "rejected", "seconds" (spent in calls), "seconds.evolve" (gather, encode, readout),
   "seconds.open", "warnings" (numbers that look like another unit; the sentences are in log_file). And the
   ledger: "burned_mass" (kg) and "heat" (J) of all committed steps, "step_burned_mass" and "step_heat" of the
   open step so far, or with none open of the last one. Without MLD_MASS every cell counts as 1 kg; the heat is
   NaN where the bundle does not state its heat of reaction. An unknown name is an error that lists the known
   ones. Not collective: each rank has counts of its own, of the cells that it owns and of the work that it
   did. */
MLD_API int mld_counter(mld_closure* closure, const char* name, double* value);

/* The sum of a counter over all ranks. Collective. */
MLD_API int mld_counter_sum(mld_closure* closure, const char* name, double* value);

/* A fact that a host needs before it registers cells, by name: "patch.multiple", "patch.least_ny",
   "patch.least_nx" (pixels: sides are multiples of the first, and not below the others), "patch.ny", "patch.nx"
   (of this closure, NaN before they are chosen), "frame.ny", "frame.nx" (pixels, trained on), "pixel" (m),
   "points" (1 where cells are points of patches), "patch.parts", "patch.halo" (pixels), "p_arrival" (Pa),
   "heat" (J/kg, of reaction), "load.low", "load.high" (m/s, trained on), "pressure.low", "pressure.high" (Pa,
   of these shocks in solid material), "model_step", "horizon" (s), "density" (kg/m3) and "temperature" (K) of
   the solid at rest. NaN for what a bundle does not state. Not collective. */
MLD_API int mld_fact(mld_closure* closure, const char* name, double* value);

/* The committed state of n cells of this rank, as a host needs it after mld_restore; ids NULL: all registered
   cells, n of them. Rates, increments and the uncertainty, which belong to a step, are NaN. Not collective. */
MLD_API int mld_read(mld_closure* closure, int64_t n, const int64_t* ids, const mld_output* outputs,
                     int32_t n_outputs);

/* Write a restart folder; what was there stays whole until it is replaced. @pre no step is open. Collective.
 */
MLD_API int mld_save(mld_closure* closure, const char* path);

/* Take the state of a restart folder. @pre the same cells are registered, no step is open. Collective. */
MLD_API int mld_restore(mld_closure* closure, const char* path);

/* Sentence and cells of the last call of this thread; "" and none after MLD_OK. Valid until its next call. */
MLD_API const char* mld_message(void);
MLD_API int64_t mld_message_cells(const int64_t** ids);

/* Whether nothing but the call itself failed, so that the closure can be used; true for MLD_OK too. */
MLD_API int mld_recoverable(int error);

/* Name of an error, such as "MLD_E_CELLS". */
MLD_API const char* mld_error_name(int error);

/* Version of the library, such as "0.1.0", and the MLD_ABI it was built with. */
MLD_API const char* mld_version(void);
MLD_API int mld_abi(void);

#ifdef __cplusplus
}
#endif

#endif
