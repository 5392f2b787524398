using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Cli;
using DeepSeekOps.Worker.Training.Loop;

// No await here: a rank stays on the main thread, see RankEntry.
return args switch
{
    ["agent", .. var rest] => AgentEntry.Run(rest, new CheckpointReader(TimeProvider.System).Hands).GetAwaiter().GetResult(),
    ["model", .. var rest] => ModelVerbs.Run(rest, Console.Out, Console.Error),
    ["bench", .. var rest] => BenchVerb.Run(rest, Console.Out, Console.Error),
    ["data", .. var rest] => DataVerbs.Run(rest, Console.Out, Console.Error),
    ["generate", "--stream"] => GenerationStream.Run(),
    ["generate", .. var rest] => GenerateVerb.Run(rest, Console.Out, Console.Error),
    ["examine", .. var rest] => ExamineVerb.Run(rest, Console.Out, Console.Error),
    ["validate", .. var rest] => ValidateVerb.Run(rest, Console.Out, Console.Error),
    ["rank"] => Rank(),
    _ => Usage(),
};

static int Rank()
{
    using var program = new RankProgram();
    return RankEntry.Run(program.WarmUp, program.Run, program.Prepare);
}

static int Usage()
{
    Console.Error.WriteLine("""
        Usage: dsops-worker VERB ...

          agent    the agent of a node: starts ranks and reports to the control plane
          bench    times training steps of a model on this machine
          data     prepares texts for training, checks what was prepared
          examine  tells its version, libtorch, GPUs and NCCL, and tries a checkpoint store
          generate continues a prompt by a checkpoint
          model    compares a model with a reference, counts parameters
          validate tests this machine: products, memory, disk, sums over ranks
        """);
    return RankEntry.Usage;
}
