using System.Reflection;
using DeepSeekOps.Worker.Model;
using Xunit;
using Decided = DeepSeekOps.Decisions.Recipes.ModelShape;

namespace DeepSeekOps.Worker.Tests.Model;

/// <summary>The planner reckons with the shapes that the worker trains; neither references the other.</summary>
public sealed class PresetTests
{
    public static TheoryData<string> Names => [.. Decided.Presets.Keys];

    [Fact]
    public void Planner_and_worker_know_the_same_presets() =>
    Assert.Equal(Decided.Presets.Keys, ModelShapes.Presets.Keys.Order(StringComparer.Ordinal));

    [Theory]
    [MemberData(nameof(Names))]
    public void A_preset_is_the_same_shape_for_the_planner_and_for_the_worker(string name)
    {
        var (planned, trained) = (Decided.Presets[name], ModelShapes.Presets[name]);
        var shared = typeof(Decided).GetProperties(BindingFlags.Public | BindingFlags.Instance)
            .Where(p => p.PropertyType == typeof(int) || p.PropertyType == typeof(double) || p.PropertyType == typeof(bool))
            .Select(p => (Planned: p, Trained: typeof(ModelShape).GetProperty(p.Name)))
            .Where(p => p.Trained is not null).ToList();
        Assert.True(shared.Count >= 22, $"only {shared.Count} hyper-parameters have the same name on both sides");
        Assert.All(shared,
            p => Assert.Equal((p.Planned.Name, p.Planned.GetValue(planned)), (p.Planned.Name, p.Trained?.GetValue(trained))));
    }
}
