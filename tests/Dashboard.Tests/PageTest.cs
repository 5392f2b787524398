using Bunit;
using DeepSeekOps.Contracts.Ops.V1;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Microsoft.AspNetCore.Components;
using Microsoft.Extensions.DependencyInjection;
using MudBlazor.Services;

namespace DeepSeekOps.Dashboard.Tests;

/// <summary>A circuit with the real client over <see cref="ScriptedOps"/>.</summary>
public abstract class PageTest : BunitContext
{
    protected static readonly Timestamp Noon = Timestamp.FromDateTimeOffset(new DateTimeOffset(2026, 1, 2, 12, 0, 0, TimeSpan.Zero));

    protected PageTest()
    {
        JSInterop.Mode = JSRuntimeMode.Loose;
        Services.AddMudServices();
        Services.AddSingleton(TimeProvider.System);
        Services.AddSingleton(new OpsService.OpsServiceClient(Ops));
        SetRendererInfo(new RendererInfo("Server", isInteractive: true));
        DefaultWaitTimeout = TimeSpan.FromMinutes(2);
    }

    protected ScriptedOps Ops { get; } = new();

    protected NavigationManager Navigation => Services.GetRequiredService<NavigationManager>();

    /// <summary>For what renders nothing when it happens, like a call: a page's own waits look again only after a rendering.</summary>
    protected static void Until(Func<bool> so) =>
        Assert.True(SpinWait.SpinUntil(so, TimeSpan.FromMinutes(2)), "It did not happen within two minutes.");

    /// <summary>Finds and acts between two renderings: what was found in one is no longer there after the next.</summary>
    protected static void Act<T>(IRenderedComponent<T> page, Action act)
        where T : IComponent => page.InvokeAsync(act).GetAwaiter().GetResult();

    protected static Run MiniRun(string state = "running") => new()
    {
        Name = "mini",
        Team = "research",
        State = state,
        Reason = "pretrain trains at step 40 of 600.",
        SubmittedAt = Noon,
        Pipeline = "name: mini\n",
        Stages =
        {
            new Stage
            {
                Name = "pretrain", Kind = "pretraining", State = state, Reason = "Rank 0 beats.", Attempt = 2, Step = 40, TotalSteps = 600,
                Tokens = 40960, Loss = 3.25, Mfu = 0.31, TokensPerSecond = 1750, CheckpointStep = 40,
                Ranks = { new Rank { Rank_ = 0, Node = "node-0", Pid = 4711, State = "training", LastSeen = Noon } },
            },
            new Stage { Name = "extend", Kind = "context-extension", State = "waiting", Reason = "Waits for pretrain.", TotalSteps = 40 },
        },
    };

    /// <summary>A run as a list has it: a part of what a run is, under the same names and numbers.</summary>
    protected static RunSummary Listed(Run run) => RunSummary.Parser.ParseFrom(run.ToByteArray());

    /// <summary>The whole list on one page.</summary>
    protected static ListRunsReply List(params Run[] runs)
    {
        var reply = new ListRunsReply { All = runs.Length, Total = runs.Length, Runs = { runs.Select(Listed) } };
        foreach (var state in runs.GroupBy(r => r.State))
        {
            reply.States[state.Key] = state.Count();
        }

        return reply;
    }

    protected static Event Told(long number, string kind, string level, string text, int afterSeconds = 0) => new()
    {
        Number = number, Kind = kind, Level = level, Text = text, Run = "mini", Stage = "pretrain", Attempt = 1,
        At = Timestamp.FromDateTimeOffset(Noon.ToDateTimeOffset().AddSeconds(afterSeconds)),
    };
}
