using DeepSeekOps.Worker.Agent;

// No await here: a rank stays on the main thread, see RankEntry.
return args switch
{
    ["agent", .. var rest] => AgentEntry.Run(rest).GetAwaiter().GetResult(),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine("""
        Usage: dsops-worker VERB ...

          agent    the agent of a node: starts ranks and reports to the control plane
        """);
    return RankEntry.Usage;
}
