using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;

// Steps of 20 ms, a checkpoint every 10, done after the plan's tokens (taken as steps).
return RankEntry.Run(() => new RankReady(), (launch, link, stopping) =>
{
    long step = launch.Assignment.ResumeFrom?.Step ?? 0;
    long last = launch.Assignment.Plan.Pretraining.Tokens;
    var assignment = launch.Assignment;
    using var journal = assignment.Plan.CheckpointRoot.Length == 0 ? null : StepJournal.Of(assignment);
    link.Resumed(step == 0 ? null : new CheckpointReport { Step = step, Path = $"step-{step:00000000}" });
    link.Progress(RankState.Training, "forward", step);
    Console.WriteLine($"begins at step {step}");
    Console.Error.WriteLine("a warning of the rank");
    while (step < last)
    {
        bool stop = stopping.WaitHandle.WaitOne(TimeSpan.FromMilliseconds(20));
        if (stop && link.StopOrder is not { Save: true })
        {
            return;
        }

        step++;
        var sample = new StepSample { Step = step, Loss = 1.0 / step, Tokens = step };
        journal?.Add(sample);
        link.Sample(sample);
        Console.WriteLine($"step {step}");
        if (stop || step % 10 == 0 || link.TakeSaveOrder() is not null || step == last)
        {
            link.Checkpoint(new CheckpointReport { Step = step, Path = $"step-{step:00000000}", Final = step == last });
        }

        if (stop)
        {
            return;
        }
    }

    link.Done(step);
});
