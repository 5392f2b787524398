namespace DeepSeekOps.Worker.Parallel;

/// <summary>
/// Calls that are made beside operators: sums of gradients under the backward pass, updated weights under the next forward pass. Only
/// where calls have a queue of their own: on processors they would take the cores from the pass.
/// </summary>
/// <param name="Data">The ranks of <see cref="Mesh.Data"/>, connected so that no call of the pass waits behind these.</param>
/// <param name="Replicas">Those of <see cref="Mesh.Replicas"/>.</param>
/// <param name="Run">
/// Makes calls on the other queue, once what has been asked of the operators' queue so far is done, and does not wait for them. What it
/// gives is to be called once: what is asked of the operators' queue from then on begins only after these calls.
/// </param>
public sealed record CallsBeside(IProcessGroup Data, IProcessGroup Replicas, Func<Action, Action> Run);
